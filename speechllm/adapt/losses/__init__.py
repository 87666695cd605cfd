"""Losses beside the LM loss, and the curriculum over text by difficulty."""
