"""Commands around a recipe: plan, jobs, copies, completion."""
