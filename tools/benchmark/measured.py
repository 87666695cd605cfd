"""Runs the command in its arguments; prints its processor seconds, peak memory in MB, and seconds
by the clock.

A process of its own, since Linux counts for a command the memory of the process that starts it.
"""

import os
import subprocess
import sys
import time

if __name__ == "__main__":
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], **quiet)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, wall)
    sys.exit(os.waitstatus_to_exitcode(status) != 0)
