"""The idea of the toolkit: what fills the prompt's speech slot, and in which proportions."""
