"""Answers of a prescribed form."""
