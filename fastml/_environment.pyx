# cython: binding=True
# What in_full_mode returns takes the name and the signature of what it decorates.
"""The kernels' floating-point modes for what Python and NumPy compute in between; _environment.pxd is Cython's side.

    with full():          # IEEE 754, rounding to nearest; flush(): denormals count as zeros too
        y = np.multiply(x, scale)
"""

from functools import wraps


cdef class Mode:
    cdef fm_environment inside, outside

    def __enter__(self):
        self.outside = fm_switch(self.inside)

    def __exit__(self, *exception):
        fm_restore(self.outside)


cdef Mode mode(fm_environment inside):
    cdef Mode made = Mode.__new__(Mode)
    made.inside = inside
    return made


def full():
    return mode(FM_FULL)


def flush():
    return mode(FM_FLUSH)


def in_full_mode(function):
    """Decorator: all that the function computes, also by NumPy and in Python, runs in the full mode.

    The doors of what is not a kernel itself (metrics, transformers, estimators, schedules) have it. Being compiled, it
    adds no frame: warnings name the caller's line.
    """

    @wraps(function)
    def run(*args, **kwargs):
        cdef fm_scope _scope = fm_switch(FM_FULL)
        return function(*args, **kwargs)

    return run
