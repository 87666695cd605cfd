"""Decoding: from speech to hypotheses."""
