"""Normalisers, which references and hypotheses both go through."""
