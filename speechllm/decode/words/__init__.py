"""A second look at hypotheses: word times, confidence, perplexity; word for word."""
