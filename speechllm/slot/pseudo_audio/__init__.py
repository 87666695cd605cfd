"""Pseudo-audio: frames and LLM inputs made from text, which fill the slot in place of speech."""
