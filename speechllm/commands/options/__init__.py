"""Option types and parsers that several commands share."""
