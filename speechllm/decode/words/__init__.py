"""Second pass over hypotheses: word times, confidences, perplexity."""
