"""One training loop for every model and every way of adapting."""
