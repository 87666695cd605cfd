"""Tools that the readers of several corpora share."""
