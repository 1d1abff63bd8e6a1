"""Updates of lists of arrays in place, in one call: what they share.

    cdef Places here
    held = place(&here, CUT_BYTES, names, p, g, u, v, w)  # checks and cuts, or raises
    with nogil:
        run(&here, COST, update, &step)                   # update(place, first, last, &step) for every piece
    finish(&here, held)

The arrays lie one after the other, each rounded up to `cut` bytes, and are cut into blocks of BLOCK_BYTES: so a team
shares many small arrays as well as a large one. The cut depends on the shapes alone. With cut = BLOCK_BYTES no block
reaches into two arrays and every array is cut from its own start.
"""

from libc.math cimport INFINITY, sqrt

from .._simd cimport fm_tally, fm_tally_add, fm_tally_sum

cdef enum:
    LOCAL_ARRAYS = 32     # whose places fit on the stack
    ARRAYS = 5            # that a parameter has: itself, its gradient and up to three of state
    CUT_BYTES = 64        # a cut leaves whole vectors on both sides
    BLOCK_BYTES = 16384   # of the updated arrays
    CHUNK_BYTES = BLOCK_BYTES  # of an array whose squares have a sum of their own

cdef struct Place:
    char *p           # what is updated (IN, OUT)
    const char *g     # gradient (IN), NULL without
    char *u           # its state (IN, OUT), NULL without
    char *v
    char *w
    size_t bytes
    size_t start      # where it lies among all of them, a multiple of the cut
    size_t itemsize   # of a float or a double

cdef struct Places:
    Place *at
    Py_ssize_t count
    size_t bytes      # of all arrays
    size_t extent     # where the last one ends
    Place local[LOCAL_ARRAYS]

# Bytes first ... last of one array; whole elements.
ctypedef void (*Update)(const Place *at, size_t first, size_t last, const void *step) noexcept nogil


# How many elements these bytes are; by numbers that the compiler knows, as a division takes as long as a short update.
cdef inline size_t elements(const Place *at, size_t first, size_t last) noexcept nogil:
    return (last - first) // sizeof(float) if at.itemsize == sizeof(float) else (last - first) // sizeof(double)


# A finite number >= low; errors name the option.
cdef double option(object value, str name, double low) except? -1
# A list or tuple of `count` arrays (< 0: any number) as a tuple, which holds them while the lock is released.
cdef tuple as_tuple(object arrays, str name, Py_ssize_t count)
# The same, or None.
cdef tuple maybe_tuple(object arrays, str name, Py_ssize_t count)
# Check the arrays of p and those beside them (g, u, v, w: tuples or None) and fill the places. `names` are those of
# p, g, u, v and w. The result is for `finish`.
cdef object place(Places *here, size_t cut, tuple names, tuple p, tuple g, tuple u, tuple v, tuple w)
# `cost`: nanoseconds a byte of p on one thread.
cdef void run(const Places *here, double cost, Update update, const void *step) noexcept nogil
# After the last run: values go back to where copies stood in.
cdef int finish(Places *here, object held) except -1


# The sum of squares of two parts of a list from those of each, which are `square_sum`s: minus the norm where squares
# leave the range of doubles. And the norm.
cdef inline double join_squares(double a, double b) noexcept nogil:
    cdef double p, q, both = a + b
    if (a >= 0 and b >= 0 and both < INFINITY) or not (a - a == 0 and b - b == 0):
        return both
    p, q = norm_of(a), norm_of(b)
    if p < q:
        a, p, q = b, q, p
    return a if q < p * 2.0 ** -30 else -p * sqrt(1 + q / p * (q / p))


# The sum gains one that may be such a norm.
cdef inline void gain_squares(fm_tally *sum, double squares) noexcept nogil:
    cdef double all = fm_tally_sum(sum)
    if all >= 0 and squares >= 0 and all + squares < INFINITY:
        fm_tally_add(sum, squares)
    else:
        sum[0] = fm_tally(join_squares(all, squares), 0)


cdef inline double norm_of(double squares) noexcept nogil:
    return -squares if squares < 0 else sqrt(squares)
