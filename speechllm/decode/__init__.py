"""From speech to hypotheses."""
