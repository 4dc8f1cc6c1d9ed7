"""For every test: one thread per process, since as many processes as cores run side by side."""

import os

# Read when the libraries are first imported, and inherited by the programs that tests start.
# A BLAS that spins on the other core takes twice the CPU time for matrices of this size.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
