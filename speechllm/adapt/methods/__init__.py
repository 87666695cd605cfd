"""Ways of adapting, a declaration each (docs/methods/)."""
