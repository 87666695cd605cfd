"""Files that appear whole, who writes where, formats of our own; what a process is told."""
