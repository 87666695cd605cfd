"""Beam search: a batch of prompts -> n-best lists."""
