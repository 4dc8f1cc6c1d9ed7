"""What holds for every test: the tests run side by side, so each computes on one core.

OpenBLAS and OpenMP start a thread for every core and let them spin; on the small matrices of the
tests that costs several times what it computes. Set before anything imports numpy, and for the
processes that tests start.
"""

import os

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
