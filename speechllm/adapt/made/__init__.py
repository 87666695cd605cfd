"""Data that methods make: pseudo-labels, simulated posteriors, pseudo-audio."""
