"""A model to carry away: one folder with the base, its domains, and what they stand on."""
