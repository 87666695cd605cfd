"""Ways of adapting: each one a short declaration over the same engine."""
