"""Batch normalisation's work as its op and a training step see it."""

from .. cimport _numpy as cnp

from .._check cimport Layout
from .._simd cimport fm_table

cdef enum:
    CHUNKS = 32                # of a channel, at most

cdef struct Cut:
    Py_ssize_t outer
    Py_ssize_t channels
    Py_ssize_t inner
    Py_ssize_t stride          # elements from one row of outer to the next
    Py_ssize_t x_stride        # and in x where it is not the gradient's
    Py_ssize_t rows            # a chunk: `rows` of outer ...
    Py_ssize_t width           # ... by `width` of inner
    Py_ssize_t width_chunks    # chunks side by side in inner
    Py_ssize_t chunks
    Py_ssize_t panel           # channels of one
    Py_ssize_t panels
    bint by_panel
    bint stream                # the result goes past the caches

cdef enum Purpose:
    WHOLE     # batch_norm or its gradient
    SUMS      # the partial sums alone
    RESULT    # from given sums: mean and inv_std forward, those of the whole batch backward

# What a call knows beside its arrays (outer, channels, inner). The vectors have an element per channel, of the arrays'
# type: weight, bias (IN, may be NULL); mean, inv_std (OUT forward, IN backward); dweight, dbias (OUT); scale, shift,
# center, slope (scratch). sum and m2 have a row per chunk (scratch). In the end their first rows are the channels' own:
# forward, means and sums of squared deviations. origin: what a channel's sums are relative to (scratch).
cdef struct Norm:
    const fm_table *fm
    size_t itemsize
    Cut cut
    Purpose purpose
    bint backward
    bint training
    double eps
    double count               # of a channel's values where its sums are given
    void *weight
    void *bias
    void *mean
    void *inv_std
    void *dweight
    void *dbias
    void *scale
    void *shift
    void *center
    void *slope
    double *sum
    double *m2
    double *origin


cdef inline bint gathers(const Norm *job) noexcept nogil:
    return job.purpose == SUMS or (job.purpose == WHOLE and (job.training or job.backward))


# The chunks of a shape.
cdef void cut_chunks(Cut *cut, const Layout *at, size_t itemsize) noexcept nogil
# The panels, one after the other or all in each phase; itemsize: of all arrays that are read.
cdef void schedule(Cut *cut, size_t itemsize, int threads) noexcept nogil
# The vectors and sums that are scratch, in this memory, which may be NULL: how many bytes of it they take.
cdef size_t place(Norm *job, char *memory) noexcept nogil
# The whole call on this thread, panel by panel. y (OUT): result or dx; g (IN): the gradient; x (IN). A missing one is
# any pointer: g forward, y for SUMS.
cdef void norm_alone(const Norm *job, void *y, void *g, void *x) noexcept nogil
# The same on a team over plain arrays.
cdef int norm_together(const Norm *job, cnp.ndarray y, cnp.ndarray g, cnp.ndarray x, const Layout *at,
                       int threads) except -1
