"""The program: `speechllm`, or `python -m speechllm`."""

import signal
import sys


def main() -> None:
    """Run the command line; ctrl-C while it is still being imported ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not told to ignore it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from speechllm.cli import main as run

    run()


if __name__ == "__main__":
    sys.exit(main())
