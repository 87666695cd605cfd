"""Commands on data dirs."""
