"""Controlled comparisons: adaptation methods over seeds and domains, under one budget."""
