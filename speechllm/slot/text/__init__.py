"""Text in slot and prompt: noise, spelling, pieces, hotwords."""
