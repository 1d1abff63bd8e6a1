"""Chooses the SIMD target at import and holds its tables for every kernel module."""

import os

from libc.string cimport memset

cdef extern from "dispatch.h" nogil:
    ctypedef struct fm_target:
        const void *f32
        const void *f64
    ctypedef struct fm_choice:
        const char *name
        const fm_target *target
        int (*runs)() noexcept nogil
    const fm_choice fm_choices[]
    const char *fm_compiler
    double fm_pause_nanoseconds()
    size_t fm_cache_bytes()


def built_targets():
    """Names of the targets in this build, best first."""
    names = []
    cdef int i = 0
    while fm_choices[i].name != NULL:
        names.append(fm_choices[i].name.decode())
        i += 1
    return tuple(names)


def available_targets():
    """Names of the targets that this CPU can run, best first."""
    return tuple(name for i, name in enumerate(built_targets()) if fm_choices[<int>i].runs())


def pause_nanoseconds():
    """How long one spin-wait instruction of this CPU takes."""
    return fm_pause_nanoseconds()


def fma_chains(size_t n, bint double_precision=False):
    """Run n multiply-adds in every chain of fm.h's fma_chains on this thread, without the GIL; the FLOPs done.

    By the best target, whichever is in use: it measures the machine.
    """
    cdef const fm_target *best = fm_choices[<int>built_targets().index(available_targets()[0])].target
    cdef const fm_table *table = <const fm_table *>(best.f64 if double_precision else best.f32)
    cdef double x[8]
    cdef size_t flops
    memset(x, 0, sizeof(x))
    with nogil:
        flops = table.fma_chains(x, n)
    return flops


def _choose():
    """The target to use and why: FASTML_ISA if it is set, else the best that runs."""
    forced = os.environ.get("FASTML_ISA", "")
    available = available_targets()
    if not forced:
        return available[0], "the best this CPU runs"
    if forced in available:
        return forced, "FASTML_ISA"
    known = ", ".join(built_targets())
    raise ImportError(
        f"FASTML_ISA={forced!r} cannot be used: this build has {known}; this CPU runs {', '.join(available)}"
    )


#: The target in use and the reason for it.
target, reason = _choose()
cdef int _index = built_targets().index(target)
fm32 = <const fm_table *>fm_choices[_index].target.f32
fm64 = <const fm_table *>fm_choices[_index].target.f64
# FASTML_CACHE_BYTES sets it by hand, for tests and where the system does not tell.
cache_bytes = int(os.environ.get("FASTML_CACHE_BYTES") or fm_cache_bytes())
#: The C compiler that built the kernels.
compiler = fm_compiler.decode()
