"""Statistics of error rates: confidence intervals, training seeds, significance tests."""
