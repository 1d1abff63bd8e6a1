"""Distances between distributions: sums over rows in blocks, and walks along two sorted samples.

A row is cut into blocks of BLOCK_ELEMENTS whose sums have a place of their own and are added in order. A walk goes
through both samples of a row at once, on one thread; rows are dealt to the threads.
"""

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.math cimport NAN, fabs
from libc.stdlib cimport free, malloc

from .._check cimport alike, ceil_div, data, is_plain
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport new_array
from .._openmp cimport fm_add, fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport fm_tally, fm_tally_add, fm_tally_of, fm_tally_sum, table_of

cnp.import_array()

cdef enum:
    BLOCK_ELEMENTS = 4096
    GROUP_ROWS = 64   # whose sums are finished together
    RUN_TERMS = 64    # of a walk that are added before they join the rest

# Nanoseconds on one thread: an element of a sum of masses or differences, of entropies, a step of a walk; a row.
cdef double DIFFERENCE_COST = 0.2
cdef double ENTROPY_COST = 0.6
cdef double STEP_COST = 4.0
cdef double ROW_COST = 20.0

cdef double FAR = 2.0**500  # sums beyond which, or below whose reciprocal, quotients with them leave the range

cdef extern from "distance.h":
    const double FM_WHOLE
    enum:
        FM_GAPS
        FM_MASSES
        FM_RELATIVE_ENTROPY
        FM_VARIATION
        FM_DIVERGENCES
        FM_ENTROPIES

cdef struct Pairs:
    int first          # the sums that are taken first
    int then           # and those that need them; or the same
    const char *p
    const char *q      # NULL for an entropy
    Py_ssize_t rows
    Py_ssize_t n
    Py_ssize_t blocks  # of a row
    Py_ssize_t size    # of an element
    double unit        # which results are divided by
    void *y            # OUT: rows of y_size bytes
    Py_ssize_t y_size


cdef inline void block_sums(double *sums, const Pairs *x, int kind, Py_ssize_t row, Py_ssize_t rows,
                            Py_ssize_t block) noexcept nogil:
    """The sums (OUT: 3 a row) of one block of some rows: of several rows only where that is all of them."""
    cdef Py_ssize_t start = block * BLOCK_ELEMENTS, n = min(<Py_ssize_t>BLOCK_ELEMENTS, x.n - start)
    cdef Py_ssize_t at = (row * x.n + start) * x.size
    cdef const char *q = NULL
    if x.q != NULL:
        q = &x.q[at]
    table_of(x.size).pair_sums(sums, x.p + at, q, rows, n, kind)


cdef double result(const Pairs *x, const double *sums) noexcept nogil:
    """No divergence is below 0 but for rounding; that of sums that are not finite is not a number."""
    cdef double value = sums[2]
    if x.then == FM_GAPS:
        return value / x.n
    if not (sums[0] - sums[0] == 0 and (x.q == NULL or sums[1] - sums[1] == 0)):
        return NAN
    if x.then == FM_ENTROPIES:
        return 0 - value / sums[0] / x.unit
    if x.then == FM_RELATIVE_ENTROPY:
        value = value / sums[0]
    elif x.then == FM_DIVERGENCES:
        value = value / FM_WHOLE / 2
    else:
        value = value / 2
    return (0 if value <= 0 else value) / x.unit


cdef inline bint is_far(double total) noexcept nogil:
    return total != 0 and not 1 / FAR < total < FAR


cdef bint finish(const Pairs *x, double *sums, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    """Results of rows from their sums; whether some of these are far."""
    cdef Py_ssize_t i
    cdef double value
    cdef bint far = False
    if x.then == FM_RELATIVE_ENTROPY:
        table_of(sizeof(double)).shift_sums(sums, rows)
    for i in range(row, row + rows):
        value = result(x, sums)
        if x.y_size == sizeof(float):
            (<float *>x.y)[i] = <float>value
        else:
            (<double *>x.y)[i] = value
        far = far or is_far(sums[0]) or (x.q != NULL and is_far(sums[1]))
        sums += 3
    return far


cdef bint some_rows(const Pairs *x, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    """At most GROUP_ROWS rows of one block each."""
    cdef double[3 * GROUP_ROWS] sums
    block_sums(sums, x, x.first, row, rows, 0)
    if x.then != x.first:
        block_sums(sums, x, x.then, row, rows, 0)
    return finish(x, sums, row, rows)


cdef bint short_rows(const Pairs *x, int threads) noexcept nogil:
    """All rows, of one block each; whether some sums are far."""
    cdef fm_work work
    cdef Py_ssize_t each = max(<Py_ssize_t>1, min(<Py_ssize_t>GROUP_ROWS, BLOCK_ELEMENTS // max(x.n, <Py_ssize_t>1)))
    cdef Py_ssize_t i = 0, groups = ceil_div(x.rows, each), far = 0
    if threads == 1:
        for i in range(groups):
            far += some_rows(x, i * each, min(each, x.rows - i * each))
        return far > 0
    share_work(&work, groups, threads)
    with parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            fm_add(&far, some_rows(x, i * each, min(each, x.rows - i * each)))
            i = next_block(&work)
        leave_team()
    return far > 0


cdef void all_blocks(double *sums, const Pairs *x, int kind, int threads) noexcept nogil:
    """sums (OUT): 3 for each block of each row."""
    cdef fm_work work
    cdef Py_ssize_t i = 0
    share_work(&work, x.rows * x.blocks, threads)
    with parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            block_sums(sums + 3 * i, x, kind, i // x.blocks, 1, i % x.blocks)
            i = next_block(&work)
        leave_team()


cdef bint long_rows(double *sums, const Pairs *x, int threads) noexcept nogil:
    """The same as short_rows of rows of several blocks; sums: room for 3 a block."""
    cdef Py_ssize_t i, k
    cdef double *part
    cdef double[3] total
    cdef bint far = False
    all_blocks(sums, x, x.first, threads)
    if x.then != x.first:
        for i in range(x.rows):
            part = sums + 3 * i * x.blocks
            total[0], total[1] = fm_tally_of(part, x.blocks, 3), fm_tally_of(part + 1, x.blocks, 3)
            for k in range(x.blocks):
                part[3 * k], part[3 * k + 1] = total[0], total[1]
        all_blocks(sums, x, x.then, threads)
    for i in range(x.rows):
        part = sums + 3 * i * x.blocks
        total[2] = fm_tally_of(part + 2, x.blocks, 3)
        for k in range(2):
            total[k] = part[k] if x.then != x.first else fm_tally_of(part + k, x.blocks, 3)
        far = finish(x, total, i, 1) or far
    return far


cdef object results(int first, int then, object p, object q, object axis, double unit, bint anyway):
    """One number for each run along the last axis, of p's dtype (gaps: float64). None where p and q are not plain and
    alike or the axis is another, and, without `anyway`, where sums are far."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Pairs x
    cdef int ndim, threads
    cdef double *room
    cdef double cost
    cdef bint far
    if not (is_plain(p) and (then == FM_ENTROPIES or alike(<cnp.ndarray>p, q)) and type(axis) is int):
        return None
    ndim = cnp.PyArray_NDIM(<cnp.ndarray>p)
    if ndim == 0 or not (axis == -1 or axis == ndim - 1):
        return None
    x.first, x.then, x.unit = first, then, unit
    x.p, x.q = cnp.PyArray_BYTES(<cnp.ndarray>p), NULL
    if then != FM_ENTROPIES:
        x.q = cnp.PyArray_BYTES(<cnp.ndarray>q)
    x.n, x.size = cnp.PyArray_DIM(<cnp.ndarray>p, ndim - 1), cnp.PyArray_ITEMSIZE(<cnp.ndarray>p)
    x.blocks = max(ceil_div(x.n, BLOCK_ELEMENTS), <Py_ssize_t>1)
    y = new_array(ndim - 1, cnp.PyArray_DIMS(<cnp.ndarray>p),
                  cnp.NPY_DOUBLE if then == FM_GAPS else cnp.PyArray_TYPE(<cnp.ndarray>p))
    x.y, x.y_size, x.rows = data(y), cnp.PyArray_ITEMSIZE(<cnp.ndarray>y), cnp.PyArray_SIZE(<cnp.ndarray>y)
    cost = DIFFERENCE_COST if then == FM_GAPS or then == FM_VARIATION else ENTROPY_COST
    threads = team(x.rows * (ROW_COST + cost * (2 if then == FM_DIVERGENCES else 1) * x.n))
    if x.blocks == 1:
        with nogil:
            far = short_rows(&x, threads)
    else:
        room = <double *>malloc(3 * x.rows * x.blocks * sizeof(double))
        if room == NULL:
            team_done()
            raise MemoryError("no memory for the sums of blocks")
        with nogil:
            far = long_rows(room, &x, threads)
        free(room)
    team_done()
    if far and not anyway:
        return None
    return y if ndim > 1 else y[()]


def entropy_sums(const double[:, ::1] p, const double[:, ::1] q):
    """Of each row the sums of p, of q and of p log(p / q), which a divergence is made of: tests look at its terms."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    sums = np.empty((p.shape[0], 3))
    cdef double[:, ::1] found = sums
    table_of(sizeof(double)).pair_sums(&found[0, 0], &p[0, 0], &q[0, 0], p.shape[0], p.shape[1], FM_RELATIVE_ENTROPY)
    return sums


def gap_means(u, v):
    """The mean of |u - v| along the last axis, in double."""
    return results(FM_GAPS, FM_GAPS, u, v, -1, 1, True)


# Of distributions along an axis: None where the arrays are to be arranged, or brought near 1, before (`anyway`).


def kl_divergence(p, q, axis, bint anyway=False):
    return results(FM_RELATIVE_ENTROPY, FM_RELATIVE_ENTROPY, p, q, axis, 1, anyway)


def total_variation(p, q, axis, bint anyway=False):
    return results(FM_GAPS, FM_VARIATION, p, q, axis, 1, anyway)


def js_divergence(p, q, axis, bint anyway=False, double unit=1):
    return results(FM_GAPS, FM_DIVERGENCES, p, q, axis, unit, anyway)


def entropy(p, axis, bint anyway=False, double unit=1):
    return results(FM_MASSES, FM_ENTROPIES, p, None, axis, unit, anyway)


cdef double transport_walk(double *gap, double *mass, const double *u, const double *cu, const double *v,
                           const double *cv, Py_ssize_t n, Py_ssize_t m) noexcept nogil:
    """gap, mass (OUT or NULL): n + m; u, v: sorted; cu, cv: the shares up to and with each, ending in 1.

    Mass goes from the lowest of u to the lowest of v, as much as both have left. Returns the sum of mass times gap.
    """
    cdef Py_ssize_t i = 0, j = 0, k = 0
    cdef double at = 0, end, move, far, part = 0
    cdef fm_tally total = fm_tally(0, 0)
    cdef bint u_done, v_done
    while i < n and j < m:
        end = min(cu[i], cv[j])
        move = end - at
        far = fabs(u[i] - v[j]) if move > 0 else 0
        part += move * far
        if gap != NULL:
            gap[k], mass[k] = far, move
        k += 1
        if k % RUN_TERMS == 0:
            fm_tally_add(&total, part)
            part = 0
        at = end
        u_done, v_done = cu[i] <= end, cv[j] <= end
        i += u_done
        j += v_done
    while gap != NULL and k < n + m:
        gap[k] = mass[k] = 0
        k += 1
    fm_tally_add(&total, part)
    return fm_tally_sum(&total)


cdef double cdf_walk(const double *u, const double *cu, const double *v, const double *cv, Py_ssize_t n,
                     Py_ssize_t m) noexcept nogil:
    """The integral of (F - G)^2, F and G being the distribution functions."""
    cdef Py_ssize_t i = 0, j = 0, k
    cdef double f = 0, g = 0, x, last = 0, part = 0
    cdef fm_tally total = fm_tally(0, 0)
    for k in range(n + m):
        if i < n and (j == m or u[i] <= v[j]):
            x = u[i]
        else:
            x = v[j]
        if k > 0:
            part += (f - g) * (f - g) * (x - last)
        if k % RUN_TERMS == 0:
            fm_tally_add(&total, part)
            part = 0
        if i < n and (j == m or u[i] <= v[j]):
            f = cu[i]
            i += 1
        else:
            g = cv[j]
            j += 1
        last = x
    fm_tally_add(&total, part)
    return fm_tally_sum(&total)


def transport(const double[:, ::1] u, const double[:, ::1] cu, const double[:, ::1] v, const double[:, ::1] cv,
              bint each):
    """Of each row, the cost of moving u to v; with `each` the distances and how much goes so far. Rows of one array
    may be the same for all: then it has one."""
    cdef fm_work work
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Py_ssize_t n = u.shape[1], m = v.shape[1], rows = max(u.shape[0], cu.shape[0], v.shape[0], cv.shape[0]), i = 0
    rows = rows if u.shape[0] and cu.shape[0] and v.shape[0] and cv.shape[0] else 0
    cdef Py_ssize_t us = u.shape[0] > 1, cus = cu.shape[0] > 1, vs = v.shape[0] > 1, cvs = cv.shape[0] > 1
    cdef int threads = team(STEP_COST * (n + m) * rows)
    costs = np.empty(rows)
    cdef double[::1] cost = costs
    gaps = np.empty((rows if each else 0, n + m))
    masses = np.empty_like(gaps)
    cdef double[:, ::1] gap = gaps, mass = masses
    share_work(&work, rows, threads)
    with nogil, parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            cost[i] = transport_walk(&gap[i, 0] if each else NULL, &mass[i, 0] if each else NULL, &u[i * us, 0],
                                     &cu[i * cus, 0], &v[i * vs, 0], &cv[i * cvs, 0], n, m)
            i = next_block(&work)
        leave_team()
    team_done()
    return (gaps, masses) if each else costs


def cdf_distance(const double[:, ::1] u, const double[:, ::1] cu, const double[:, ::1] v, const double[:, ::1] cv):
    """Of each row, the integral of the squared difference of the distribution functions; cu, cv: of one row or all."""
    cdef fm_work work
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Py_ssize_t n = u.shape[1], m = v.shape[1], rows = u.shape[0], i = 0
    cdef Py_ssize_t cus = cu.shape[0] > 1, cvs = cv.shape[0] > 1
    cdef int threads = team(STEP_COST * (n + m) * rows)
    totals = np.empty(rows)
    cdef double[::1] total = totals
    share_work(&work, rows, threads)
    with nogil, parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            total[i] = cdf_walk(&u[i, 0], &cu[i * cus, 0], &v[i, 0], &cv[i * cvs, 0], n, m)
            i = next_block(&work)
        leave_team()
    team_done()
    return totals
