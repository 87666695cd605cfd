"""Clocks that stand still, in every Python that finds this folder in PYTHONPATH.

The runner of jobs needs its clock; what it times is in logs alone.
"""

import sys
import time

STILL = 1000.0
if "run" not in sys.orig_argv:
    time.monotonic = time.perf_counter = lambda: STILL
