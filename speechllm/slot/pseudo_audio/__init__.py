"""What stands in the slot in place of speech: frames and LLM inputs made of text."""
