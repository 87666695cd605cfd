"""The frozen speech encoder: audio -> frames."""
