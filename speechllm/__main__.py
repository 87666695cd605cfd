"""`python -m speechllm`, the same as `speechllm`."""

import sys

from speechllm.cli import main

sys.exit(main())
