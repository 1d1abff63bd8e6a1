"""Distances between distributions: sums over rows in blocks, and walks along two sorted samples.

A row is cut into blocks of BLOCK_ELEMENTS whose sums have a place of their own and are added in order. A walk goes
through both samples of a row at once, on one thread; rows are dealt to the threads.
"""

import numpy as np
from cython.parallel import parallel, prange

from .. cimport _numpy as cnp
from libc.math cimport fabs

from .._check cimport ceil_div
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport fm_tally, fm_tally_add, fm_tally_of, fm_tally_sum, table_of

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    BLOCK_ELEMENTS = 4096
    RUN_TERMS = 64    # of a walk that are added before they join the rest

# Nanoseconds on one thread: an element of a sum of differences, of entropies, a step of a walk.
cdef double DIFFERENCE_COST = 0.3
cdef double ENTROPY_COST = 2.0
cdef double STEP_COST = 4.0


cdef void row_sums(double[:, ::1] sums, const real[:, ::1] p, const real[:, ::1] q, const double[::1] a,
                   const double[::1] b, int kind) noexcept:
    """sums (OUT): 3 for each block of each row; p, q (IN; q may be None), a, b: of each row, None being ones."""
    cdef Py_ssize_t n = p.shape[1], blocks = ceil_div(n, BLOCK_ELEMENTS), i, row, start
    cdef int me = caller()
    cdef int threads = team((DIFFERENCE_COST if kind == 0 else ENTROPY_COST * kind) * n * p.shape[0])
    cdef const real *y
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(p.shape[0] * blocks, schedule="static"):
            row = i // blocks
            start = i % blocks * BLOCK_ELEMENTS
            y = &q[row, start] if q is not None else NULL
            one_block[real](&sums[i, 0], &p[row, start], y, min(<Py_ssize_t>BLOCK_ELEMENTS, n - start),
                            1 if a is None else a[row], 1 if b is None else b[row], kind)
        leave_team()
    team_done()


cdef inline void one_block(double *sums, const real *p, const real *q, size_t n, double a, double b,
                           int kind) noexcept nogil:
    if kind == 0:
        table_of(sizeof(real)).difference_sums(sums, p, q, n, a, b)
    else:
        table_of(sizeof(real)).entropy_sums(sums, p, q, n, a, b, kind == 2)


cdef object all_sums(p, q, a, b, int kind):
    """(3, rows) sums of plain arrays of one precision."""
    cdef Py_ssize_t rows = p.shape[0], blocks = ceil_div(p.shape[1], BLOCK_ELEMENTS), row
    cdef int k
    parts = np.zeros((rows * blocks, 3))
    totals = np.zeros((3, rows))
    cdef double[:, ::1] part = parts, total = totals
    if rows * blocks:
        if p.dtype == np.float32:
            row_sums[float](part, p, q, a, b, kind)
        else:
            row_sums[double](part, p, q, a, b, kind)
    for row in range(rows):
        for k in range(3 if blocks else 0):
            total[k, row] = fm_tally_of(&part[row * blocks, k], blocks, 3)
    return totals


def difference_sums(p, q, a=None, b=None):
    """Of each row: the sums of p, of q and of |a p - b q|."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return all_sums(p, q, a, b, 0)


def entropy_sums(p, q, a=None, b=None):
    """Of each row: the sums of a p, of b q and of a p log(a p / (b q)); without q of p log(p / b)."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return all_sums(p, q, a, b, 1)


def middle_sums(p, q, a, b):
    """Of each row: the sums of x = a p, of y = b q and of x log(x / m) + y log(y / m), m between them."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return all_sums(p, q, a, b, 2)


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
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Py_ssize_t n = u.shape[1], m = v.shape[1], rows = max(u.shape[0], cu.shape[0], v.shape[0], cv.shape[0]), i
    rows = rows if u.shape[0] and cu.shape[0] and v.shape[0] and cv.shape[0] else 0
    cdef Py_ssize_t us = u.shape[0] > 1, cus = cu.shape[0] > 1, vs = v.shape[0] > 1, cvs = cv.shape[0] > 1
    cdef int me = caller(), threads = team(STEP_COST * (n + m) * rows)
    costs = np.empty(rows)
    cdef double[::1] cost = costs
    gaps = np.empty((rows if each else 0, n + m))
    masses = np.empty_like(gaps)
    cdef double[:, ::1] gap = gaps, mass = masses
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(rows, schedule="static"):
            cost[i] = transport_walk(&gap[i, 0] if each else NULL, &mass[i, 0] if each else NULL, &u[i * us, 0],
                                     &cu[i * cus, 0], &v[i * vs, 0], &cv[i * cvs, 0], n, m)
        leave_team()
    team_done()
    return (gaps, masses) if each else costs


def cdf_distance(const double[:, ::1] u, const double[:, ::1] cu, const double[:, ::1] v, const double[:, ::1] cv):
    """Of each row, the integral of the squared difference of the distribution functions; cu, cv: of one row or all."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Py_ssize_t n = u.shape[1], m = v.shape[1], rows = u.shape[0], i
    cdef Py_ssize_t cus = cu.shape[0] > 1, cvs = cv.shape[0] > 1
    cdef int me = caller(), threads = team(STEP_COST * (n + m) * rows)
    totals = np.empty(rows)
    cdef double[::1] total = totals
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(rows, schedule="static"):
            total[i] = cdf_walk(&u[i, 0], &cu[i * cus, 0], &v[i, 0], &cv[i * cvs, 0], n, m)
        leave_team()
    team_done()
    return totals
