"""One thin module for each `speechllm <command>`: `add_arguments(parser)` and `run(args)`."""
