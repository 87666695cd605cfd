"""`python -m speechllm`, the same as `speechllm`."""

import sys

from speechllm.cli import main

if __name__ == "__main__":
    sys.exit(main())
