"""Constrained decoding: answers of a prescribed form."""
