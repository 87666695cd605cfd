"""Tuning of weights and boosts on a dev set."""
