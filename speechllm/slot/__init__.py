"""Contents of the prompt's speech slot, and their proportions: the idea of the toolkit."""
