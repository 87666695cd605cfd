"""Weights and boosts, chosen on a dev set."""
