"""What a stage gives an update by SGD."""

from libc.stdint cimport int64_t


cdef struct SgdOptions:
    double lr
    double momentum
    double damp         # 1 - dampening
    double decay
    double sign
    int64_t nesterov
