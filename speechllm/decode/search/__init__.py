"""Beam search: a batch of prompts -> N-best lists."""
