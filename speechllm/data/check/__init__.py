"""Stage 2: checks of a data dir, and repairs."""
