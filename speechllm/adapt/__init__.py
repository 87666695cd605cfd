"""Adaptation methods: each one a short declaration over the same engine."""
