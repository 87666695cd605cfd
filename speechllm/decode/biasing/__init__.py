"""Contextual biasing: bias lists in the beam, and in the prompt."""
