"""The floating-point mode of a kernel; src_c/environment.h says what the modes are.

    def op(...):
        cdef fm_scope scope = fm_switch(FM_FULL)   # first; the caller's mode is back however the function ends

Every function that Python calls and that computes with floating-point numbers begins so. Workers take the mode over
from the thread that opens the region (_openmp.pxd).
"""

cdef extern from "environment.h" nogil:
    ctypedef unsigned long long fm_environment
    ctypedef unsigned long long fm_scope
    const fm_environment FM_FULL
    const fm_environment FM_FLUSH
    fm_environment fm_switch(fm_environment mode)
    void fm_restore(fm_environment before)
    fm_environment fm_change(fm_environment now, fm_environment mode)
