"""Losses beside that of the labels, and the order of text by difficulty."""
