"""Controlled comparisons: ways of adapting over seeds and domains, under one budget."""
