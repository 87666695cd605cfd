"""Layers and number formats that a processor computes quickly."""
