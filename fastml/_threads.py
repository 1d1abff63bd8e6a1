"""The one gate for threads: how many, where that number came from, and how the runtime waits.

The number is, in this order: num_threads() around the call, set_num_threads(), OpenMP's own limit (which
OMP_NUM_THREADS and threadpoolctl set), never more than the CPU affinity and the container's quota grant.

libgomp spins for milliseconds at a barrier by default, against the workers of NumPy's BLAS that spin too: a
54 microsecond softmax right after a matrix product then took 3700. With no spin at all every region wakes a
sleeping worker, and the same softmax took 160 on two threads. Measured between those: spinning for about 40
microseconds keeps a team awake from call to call (28 to 36, with 20 of Python between the calls too) and
leaves 62 after a matrix product. libgomp reads its spin count, in pause instructions, from the environment
when it is loaded; so it is loaded here with that count, unless the user chose a policy.
"""

import os
from contextlib import contextmanager

from ._check import integer

try:
    from ._simd import pause_nanoseconds  # the first of the compiled modules
except ModuleNotFoundError as error:
    _HERE = os.path.dirname(os.path.realpath(__file__))
    if not os.path.exists(f"{_HERE}/../setup.py"):
        raise
    raise ImportError(
        f"{_HERE} is fastml's source, not built for this Python: start Python in another folder for the installed "
        "fastml, or build it here: pip install -e ."
    ) from error

#: How long a thread spins at a barrier before it sleeps.
SPIN_NANOSECONDS = 40_000


def _load_runtime():
    """Import the module that loads the OpenMP runtime, with the spin count in the environment meanwhile."""
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        from . import _openmp
    else:
        os.environ["GOMP_SPINCOUNT"] = str(round(SPIN_NANOSECONDS / pause_nanoseconds()))
        try:
            from . import _openmp
        finally:
            del os.environ["GOMP_SPINCOUNT"]
    return _openmp


_openmp = _load_runtime()


def _cgroup_cpus(root="/sys/fs/cgroup"):
    """CPUs that the container's quota grants (cgroup v2 cpu.max or v1 cfs quota), or None."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        words = []
        try:
            for name in files:
                with open(f"{root}/{name}") as file:
                    words += file.read().split()
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0 and period > 0:
            return max(1, -(-quota // period))
    return None


def _granted():
    """The most threads this process should use, and the reason."""
    if hasattr(os, "sched_getaffinity"):
        count, why = len(os.sched_getaffinity(0)), "CPU affinity"
    else:
        count, why = os.cpu_count() or 1, "CPUs"
    quota = _cgroup_cpus()
    if quota is not None and quota < count:
        return quota, "the container's CPU quota"
    return count, why


_limit, _limit_reason = _granted()
if "OMP_NUM_THREADS" not in os.environ:
    _openmp.set_limit(_limit)


def _checked(n, name="n"):
    return integer(n, name, 1, _openmp.MOST_THREADS)


def get_num_threads():
    """Number of threads that a large enough call uses here and now.

    >>> import fastml
    >>> with fastml.num_threads(1):
    ...     fastml.get_num_threads()
    1
    """
    return _openmp.get_threads()


def set_num_threads(n):
    """Use n threads from now on, in every Python thread. Results do not depend on it.

    Raises TypeError where n is not an integer, ValueError outside 1 ... 1024.

    >>> import fastml
    >>> fastml.set_num_threads(fastml.get_num_threads())
    """
    _openmp.set_threads(_checked(n))


@contextmanager
def num_threads(n):
    """Use n threads inside a `with` block, in this Python thread only.

    >>> import fastml
    >>> with fastml.num_threads(2):
    ...     y = fastml.softmax([[1.0, 2.0]])
    """
    n = _checked(n)
    before = _openmp.get_local_threads()
    _openmp.set_local_threads(n)
    try:
        yield
    finally:
        _openmp.set_local_threads(before)


def runtime_name():
    """Which OpenMP runtime the kernels use: libgomp, libomp or none."""
    return _openmp.runtime_name()


def num_threads_reason():
    """Where the number that get_num_threads() gives came from."""
    if _openmp.get_local_threads():
        return "num_threads()"
    if _openmp.chosen_threads():
        return "set_num_threads()"
    if runtime_name() == "none":
        return "built without OpenMP"
    if "OMP_NUM_THREADS" in os.environ:
        return "OMP_NUM_THREADS"
    return _limit_reason if _openmp.get_threads() == _limit else "OpenMP's limit"
