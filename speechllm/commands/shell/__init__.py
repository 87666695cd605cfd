"""Commands around a recipe: plans of its stages, jobs."""
