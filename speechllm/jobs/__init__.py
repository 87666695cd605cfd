"""Arrays of jobs."""
