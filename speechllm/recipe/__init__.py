"""Recipes, as egs/*/run.sh runs them: the options of one, its stages, and what each runs."""
