"""Training data that methods make: pseudo-labels, simulated posteriors, pseudo-audio."""
