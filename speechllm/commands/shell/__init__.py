"""Commands around a recipe: jobs, copies, completion."""
