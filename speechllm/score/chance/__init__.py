"""What chance does to error rates: intervals, seeds, tests."""
