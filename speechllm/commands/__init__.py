"""Modules of the commands, one each, thin: `add_arguments(parser)` and `run(args)`."""
