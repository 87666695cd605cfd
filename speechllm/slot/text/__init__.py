"""Text as it is written into slot and prompt: noise, spelling, pieces, hotwords."""
