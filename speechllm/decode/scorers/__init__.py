"""Scorers that add to the beam search: language models, n-grams, CTC."""
