"""Bias lists in the beam, and in the prompt."""
