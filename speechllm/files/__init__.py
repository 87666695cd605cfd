"""File utilities: whole-file writes, locks, our own formats, strict parsers, signals, progress."""
