"""Adapt LLM-based speech recognisers to new domains."""

__version__ = "0.1.0"
