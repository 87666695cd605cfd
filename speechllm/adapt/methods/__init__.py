"""Adaptation methods, a declaration each (docs/methods/)."""
