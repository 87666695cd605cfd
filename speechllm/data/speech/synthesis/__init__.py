"""Speech that is made: synthesisers and rooms."""
