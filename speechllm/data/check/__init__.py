"""Stage 2: what is wrong with a data dir, and what mends it."""
