"""Batch normalisation and its gradient: layout, chunks, phases and threads.

The array is (outer, channels, inner). With inner = 1 the channels are columns and go to the *_cols primitives in
panels of neighbours; otherwise each channel's runs of `inner` go to *_rows. A channel's elements are cut into at
most CHUNKS chunks by the shape alone, each with its partial sums in a place of its own, joined in order: the
bits depend neither on the threads nor on the schedule.

Three phases: gather (partial sums of chunks), conclude (join them, coefficients), apply (the result). Where a
panel's elements fit into the second-level cache, each panel goes through all three on its own: no barrier, one
read from memory. Otherwise each phase goes over all chunks in the order of memory. A Job carries one call's
arrays as pointers (plain and checked by then): a memoryview of each would cost more than a small call.
"""

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.stdlib cimport free, malloc

from .. import _check

from .._check cimport PyArray_EMPTY, PyArray_ISCARRAY, Layout, alike, fits, is_plain, is_real, lay, result_like
from .._openmp cimport caller_cpu, join_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64, fm_table32, fm_table64

cnp.import_array()

cdef enum:
    CHUNKS = 32
    ROWS = 64             # a chunk of columns has a multiple of these
    ELEMENTS = 16384      # at least about as many in a chunk of runs
    LINE = 16             # columns: panels begin on a multiple of these
    WIDE = 512            # columns of a panel where the phases go over all chunks
    CACHE = 1 << 19       # bytes that stay in the second-level cache
    SMALL = 8192          # elements: the GIL is kept

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


cdef struct Cut:
    Py_ssize_t outer, channels, inner
    Py_ssize_t rows, row_chunks      # a chunk: `rows` of outer ...
    Py_ssize_t width, width_chunks   # ... by `width` of inner
    Py_ssize_t chunks
    Py_ssize_t panel, panels         # channels of one task
    bint by_panel
    bint stream

# One call. y (OUT): result or dx; g, x (IN), g NULL forward; weight, bias (IN, may be NULL); mean, inv_std (OUT
# forward, IN backward); dweight, dbias (OUT); scale ... slope: scratch per channel; sum, m2: scratch per chunk
# and channel, in the end the channels' own in the first row.
cdef struct Job32:
    const fm_table32 *fm
    Cut cut
    bint training
    double eps
    float *y
    float *g
    float *x
    float *weight
    float *bias
    float *mean
    float *inv_std
    float *dweight
    float *dbias
    float *scale
    float *shift
    float *center
    float *slope
    double *sum
    double *m2

cdef struct Job64:
    const fm_table64 *fm
    Cut cut
    bint training
    double eps
    double *y
    double *g
    double *x
    double *weight
    double *bias
    double *mean
    double *inv_std
    double *dweight
    double *dbias
    double *scale
    double *shift
    double *center
    double *slope
    double *sum
    double *m2

ctypedef fused Job:
    Job32
    Job64


cdef void lay_out(Cut *cut, const Layout *at, size_t itemsize) noexcept nogil:
    """Cut the shape into chunks."""
    cdef Py_ssize_t outer = at.outer, channels = at.n, inner = at.inner
    cut.outer, cut.channels, cut.inner = outer, channels, inner
    if inner == 1:
        cut.width, cut.width_chunks = 1, 1
        cut.rows = max(1, ceil_div(ceil_div(outer, CHUNKS), ROWS)) * ROWS
    else:
        cut.width_chunks = max(1, min(CHUNKS // 2, ceil_div(inner, ELEMENTS)))
        cut.width = max(1, ceil_div(ceil_div(inner, cut.width_chunks), ROWS)) * ROWS
        cut.width_chunks = max(1, ceil_div(inner, cut.width))
        cut.rows = min(CHUNKS // cut.width_chunks, ceil_div(outer * min(cut.width, inner), ELEMENTS))
        cut.rows = max(1, ceil_div(outer, max(1, cut.rows)))
    cut.row_chunks = ceil_div(outer, cut.rows)
    cut.chunks = cut.row_chunks * cut.width_chunks
    cut.stream = outer * channels * inner * itemsize > cache_bytes


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef void schedule(Cut *cut, size_t itemsize, int threads) noexcept nogil:
    """Panel by panel or phase by phase, and the panels for it; itemsize of all arrays that are read."""
    cdef Py_ssize_t channel_bytes = cut.outer * cut.inner * itemsize
    if cut.inner == 1:
        cut.panel = ceil_div(ceil_div(cut.channels, threads), LINE) * LINE
        cut.by_panel = channel_bytes * cut.panel <= CACHE and cut.panel * (threads - 1) < cut.channels
        if not cut.by_panel:
            cut.panel = WIDE
    else:
        cut.panel = 1
        cut.by_panel = channel_bytes <= CACHE and (cut.channels % threads == 0 or cut.channels >= 4 * threads)
        if not cut.by_panel:
            cut.panel = min(8, ceil_div(cut.channels, threads))
    cut.panels = ceil_div(cut.channels, cut.panel)


cdef inline Py_ssize_t chunk_rows(const Cut *cut, Py_ssize_t k) noexcept nogil:
    return min(cut.rows, cut.outer - k // cut.width_chunks * cut.rows)


cdef inline Py_ssize_t chunk_width(const Cut *cut, Py_ssize_t k) noexcept nogil:
    return min(cut.width, cut.inner - k % cut.width_chunks * cut.width)


cdef inline Py_ssize_t chunk_start(const Cut *cut, Py_ssize_t k, Py_ssize_t c) noexcept nogil:
    """Where chunk k of channel c begins."""
    return ((k // cut.width_chunks * cut.rows * cut.channels + c) * cut.inner
            + k % cut.width_chunks * cut.width)


cdef void gather(const Job *job, Py_ssize_t k, Py_ssize_t p) noexcept nogil:
    """Partial sums of chunk k of the channels of panel p."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t stride = cut.channels * cut.inner, rows = chunk_rows(cut, k), n = chunk_width(cut, k)
    cdef Py_ssize_t first = p * cut.panel, last = min(first + cut.panel, cut.channels), c, i
    cdef double *sums = job.sum + k * cut.channels
    cdef double *m2 = job.m2 + k * cut.channels
    if cut.inner == 1:
        i = chunk_start(cut, k, first)
        if job.g == NULL:
            job.fm.moments_cols(sums + first, m2 + first, job.x + i, rows, stride, last - first)
        else:
            job.fm.norm_sums_cols(sums + first, m2 + first, job.g + i, job.x + i, rows, stride, last - first,
                                  job.mean + first, job.inv_std + first, cut.by_panel)
        return
    for c in range(first, last):
        i = chunk_start(cut, k, c)
        if job.g == NULL:
            job.fm.moments_rows(sums + c, m2 + c, job.x + i, rows, n, stride)
        else:
            job.fm.norm_sums_rows(sums + c, m2 + c, job.g + i, job.x + i, rows, n, stride, job.mean[c],
                                  job.inv_std[c])


cdef void conclude(const Job *job, Py_ssize_t p) noexcept nogil:
    """Join the chunks' sums and find the coefficients of panel p."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t first = p * cut.panel, w = min(cut.panel, cut.channels - first), k, c, n, done
    cdef double count = cut.outer * cut.inner
    cdef double *sums = job.sum + first
    cdef double *m2 = job.m2 + first
    if job.g == NULL:
        if job.training:
            done = chunk_rows(cut, 0) * chunk_width(cut, 0)
            for k in range(1, cut.chunks):
                n = chunk_rows(cut, k) * chunk_width(cut, k)
                job.fm.moments_merge(sums, m2, done, sums + k * cut.channels, m2 + k * cut.channels, n, w)
                done += n
        job.fm.norm_coefficients(
            job.mean + first, job.inv_std + first, job.scale + first, job.shift + first, sums, m2,
            count if job.training else 1.0, job.eps, NULL if job.weight == NULL else job.weight + first,
            NULL if job.bias == NULL else job.bias + first, w)
        return
    for k in range(1, cut.chunks):
        for c in range(w):
            sums[c] += sums[k * cut.channels + c]
            m2[c] += m2[k * cut.channels + c]
    job.fm.norm_backward_coefficients(
        job.dweight + first, job.dbias + first, job.scale + first, job.shift + first, job.center + first,
        job.slope + first, sums, m2, count, NULL if job.weight == NULL else job.weight + first,
        job.inv_std + first, w)
    if not job.training:
        for c in range(first, first + w):
            job.center[c] = job.shift[c] = 0


cdef void apply(const Job *job, Py_ssize_t k, Py_ssize_t p) noexcept nogil:
    """The result in chunk k of the channels of panel p."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t stride = cut.channels * cut.inner, rows = chunk_rows(cut, k), n = chunk_width(cut, k)
    cdef Py_ssize_t first = p * cut.panel, last = min(first + cut.panel, cut.channels), c, i
    if cut.inner == 1:
        i = chunk_start(cut, k, first)
        if job.g == NULL:
            job.fm.norm_cols(job.y + i, job.x + i, rows, stride, last - first, job.mean + first,
                             job.scale + first, job.shift + first, cut.by_panel, cut.stream)
        elif job.training:
            job.fm.norm_backward_cols(
                job.y + i, job.g + i, job.x + i, rows, stride, last - first, job.mean + first,
                job.inv_std + first, job.center + first, job.slope + first, job.scale + first,
                job.shift + first, cut.by_panel, cut.stream)
        else:
            job.fm.norm_cols(job.y + i, job.g + i, rows, stride, last - first, job.center + first,
                             job.scale + first, job.shift + first, cut.by_panel, cut.stream)
        return
    for c in range(first, last):
        i = chunk_start(cut, k, c)
        if job.g == NULL:
            job.fm.norm_rows(job.y + i, job.x + i, rows, n, stride, job.mean[c], job.scale[c], job.shift[c],
                             cut.stream)
        elif job.training:
            job.fm.norm_backward_rows(
                job.y + i, job.g + i, job.x + i, rows, n, stride, job.mean[c], job.inv_std[c], job.center[c],
                job.slope[c], job.scale[c], job.shift[c], cut.stream)
        else:
            job.fm.norm_rows(job.y + i, job.g + i, rows, n, stride, job.center[c], job.scale[c],
                             job.shift[c], cut.stream)


cdef inline bint gathers(const Job *job) noexcept nogil:
    return job.training or job.g != NULL


cdef void by_panel(const Job *job, int part, int parts) noexcept nogil:
    """This part's panels, each from end to end."""
    cdef Py_ssize_t p, k
    for p in range(job.cut.panels * part // parts, job.cut.panels * (part + 1) // parts):
        if gathers(job):
            for k in range(job.cut.chunks):
                gather(job, k, p)
        conclude(job, p)
        for k in range(job.cut.chunks - 1, -1, -1):
            apply(job, k, p)


cdef void gather_part(const Job *job, int part, int parts) noexcept nogil:
    cdef Py_ssize_t i, panels = job.cut.panels, tasks = panels * job.cut.chunks
    for i in range(tasks * part // parts, tasks * (part + 1) // parts):
        gather(job, i // panels, i % panels)


cdef void conclude_part(const Job *job, int part, int parts) noexcept nogil:
    cdef Py_ssize_t p, panels = job.cut.panels
    for p in range(panels * part // parts, panels * (part + 1) // parts):
        conclude(job, p)


cdef void apply_part(const Job *job, int part, int parts) noexcept nogil:
    """Backwards: what was gathered last is still in cache."""
    cdef Py_ssize_t i, panels = job.cut.panels, tasks = panels * job.cut.chunks
    for i in range(tasks * (part + 1) // parts - 1, tasks * part // parts - 1, -1):
        apply(job, i // panels, i % panels)


cdef void alone(const Job *job) noexcept nogil:
    """The whole call on this thread."""
    if job.cut.by_panel:
        by_panel(job, 0, 1)
        return
    if gathers(job):
        gather_part(job, 0, 1)
    conclude_part(job, 0, 1)
    apply_part(job, 0, 1)


cdef void together(const Job *job, int threads) noexcept nogil:
    """The whole call on a team, in as many parts."""
    cdef int t, cpu = caller_cpu()
    with parallel(num_threads=threads):
        join_team(cpu)
        if job.cut.by_panel:
            for t in prange(threads, schedule="static"):
                by_panel(job, t, threads)
        else:
            if gathers(job):
                for t in prange(threads, schedule="static"):
                    gather_part(job, t, threads)
            for t in prange(threads, schedule="static"):
                conclude_part(job, t, threads)
            for t in prange(threads, schedule="static"):
                apply_part(job, t, threads)


ctypedef fused real:
    float
    double


cdef inline void aim(real **field, cnp.ndarray a) noexcept:
    """Point a field of a Job at a plain array's memory, or NULL for None."""
    field[0] = NULL if a is None else <real *>cnp.PyArray_DATA(a)


cdef inline void place(real **field, char **memory, size_t count) noexcept nogil:
    """Point a field of a Job at the next `count` elements of its scratch."""
    field[0] = <real *>memory[0]
    memory[0] += count * sizeof(real)


cdef int run(Job *job, size_t itemsize, const Layout *at, object running_mean, object running_var,
             double momentum) except -1:
    """Scratch, schedule and the three phases; then the running statistics."""
    cdef Cut *cut = &job.cut
    cdef double count = at.outer * at.inner
    cdef int threads = team((FORWARD_COST if job.g == NULL else BACKWARD_COST) * count * at.n)
    lay_out(cut, at, itemsize)
    schedule(cut, itemsize if job.g == NULL else 2 * itemsize, threads)
    cdef size_t partials = cut.chunks * cut.channels if gathers(job) else cut.channels
    cdef char *scratch = <char *>malloc(2 * partials * sizeof(double) + 4 * cut.channels * itemsize)
    cdef char *memory = scratch
    if scratch == NULL:
        raise MemoryError("no memory for batch_norm's partial sums")
    place(&job.sum, &memory, partials)
    place(&job.m2, &memory, partials)
    place(&job.scale, &memory, cut.channels)
    place(&job.shift, &memory, cut.channels)
    place(&job.center, &memory, cut.channels)
    place(&job.slope, &memory, cut.channels)
    if not gathers(job):
        load(job.sum, <cnp.ndarray>running_mean)
        load(job.m2, <cnp.ndarray>running_var)
    if threads > 1:
        with nogil:
            together(job, threads)
    elif count * cut.channels > SMALL:
        with nogil:
            alone(job)
    else:
        alone(job)
    team_done()
    if job.training and job.g == NULL:
        update(<cnp.ndarray>running_mean, job.sum, count, momentum)
        update(<cnp.ndarray>running_var, job.m2, count - 1, momentum)
    free(scratch)
    return 0


cdef void load(double *to, cnp.ndarray a) noexcept:
    """A plain vector as double."""
    cdef Py_ssize_t i
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        for i in range(cnp.PyArray_SIZE(a)):
            to[i] = (<float *>cnp.PyArray_DATA(a))[i]
    else:
        for i in range(cnp.PyArray_SIZE(a)):
            to[i] = (<double *>cnp.PyArray_DATA(a))[i]


cdef void update(cnp.ndarray running, const double *total, double n, double momentum) noexcept:
    """Move a plain running statistic (or None) towards total / n."""
    if running is None:
        return
    if cnp.PyArray_TYPE(running) == cnp.NPY_FLOAT:
        fm32.norm_running(<float *>cnp.PyArray_DATA(running), total, n, momentum, cnp.PyArray_SIZE(running))
    else:
        fm64.norm_running(<double *>cnp.PyArray_DATA(running), total, n, momentum, cnp.PyArray_SIZE(running))


cdef int prepare(Job *job, cnp.ndarray y, cnp.ndarray g, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias,
                 cnp.ndarray mean, cnp.ndarray inv_std, cnp.ndarray dweight, cnp.ndarray dbias,
                 bint training, double eps) except -1:
    if Job is Job32:
        job.fm = fm32
    else:
        job.fm = fm64
    job.training, job.eps = training, eps
    aim(&job.y, y)
    aim(&job.g, g)
    aim(&job.x, x)
    aim(&job.weight, weight)
    aim(&job.bias, bias)
    aim(&job.mean, mean)
    aim(&job.inv_std, inv_std)
    aim(&job.dweight, dweight)
    aim(&job.dbias, dbias)
    return 0


cdef inline object vector_like(cnp.ndarray x, Py_ssize_t n):
    cdef cnp.npy_intp size = n
    return PyArray_EMPTY(1, &size, cnp.PyArray_TYPE(x), 0)


# ---- the gate ---------------------------------------------------------------------------------------------


cdef inline bint is_axis(object axis, cnp.ndarray x) noexcept:
    cdef Py_ssize_t a
    if type(axis) is not int:
        return False
    a = <Py_ssize_t>axis if -64 <= axis < 64 else 64
    return -cnp.PyArray_NDIM(x) <= a < cnp.PyArray_NDIM(x)


cdef inline bint is_vector(object v, cnp.ndarray x, Py_ssize_t n, object out) noexcept:
    """v is None, or a plain vector of n elements of x's dtype that shares no memory with out."""
    if v is None:
        return True
    if not (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == 1 and cnp.PyArray_DIM(<cnp.ndarray>v, 0) == n):
        return False
    return out is None or disjoint(<cnp.ndarray>v, <cnp.ndarray>out)


cdef inline bint disjoint(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Two contiguous arrays share no memory."""
    cdef const char *p = cnp.PyArray_BYTES(a)
    cdef const char *q = cnp.PyArray_BYTES(b)
    return p + cnp.PyArray_NBYTES(a) <= q or q + cnp.PyArray_NBYTES(b) <= p


cdef inline bint is_running(object v, cnp.ndarray x, Py_ssize_t n, object out, bint training) noexcept:
    """As is_vector, and writable where it will be updated."""
    return is_vector(v, x, n, out) and (v is None or not training or PyArray_ISCARRAY(<cnp.ndarray>v))


cdef double number(object value, str name) except? -1:
    """A real number as a double."""
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{name} must be a real number, not {type(value).__name__}")
    return value


def channel_index(axis, ndim):
    """channel_axis as an index from the front."""
    try:
        index = _check.axis_index(axis)
    except TypeError:
        raise TypeError(f"channel_axis must be an integer, not {type(axis).__name__}") from None
    if not -ndim <= index < ndim:
        raise ValueError(f"channel_axis {index} is out of range for x with {ndim} dimension(s)")
    return index % ndim


def vector(value, name, channels, dtype, out):
    """One number per channel as a plain vector (dtype None: its own), or None."""
    if value is None:
        return None
    a = _check.as_real(value, name, dtype)
    if a.shape != (channels,):
        raise ValueError(f"{name} must have one value per channel, shape ({channels},), not {a.shape}")
    if out is not None and isinstance(value, np.ndarray) and _check.overlap(out, value):
        raise ValueError(f"out overlaps {name}; it may be the first input itself or separate memory")
    return _check.plain(a)


def running_vector(value, name, channels, out):
    """A plain stand-in for a running statistic that will be updated, or itself."""
    if value is None:
        return None
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array to be updated in place, not {type(value).__name__}")
    if value.dtype.kind != "f" or value.dtype.itemsize not in (4, 8):
        raise TypeError(f"{name} must be float32 or float64, not {value.dtype}")
    if not value.flags.writeable:
        raise ValueError(f"{name} is read-only")
    return vector(value, name, channels, None, out)


# ---- batch_norm and batch_norm_backward -------------------------------------------------------------------


def batch_norm(x, weight, bias, running_mean, running_var, bint training, momentum, eps, axis, out):
    cdef Layout at
    cdef Job32 job32
    cdef Job64 job64
    cdef double rate = number(momentum, "momentum"), epsilon = number(eps, "eps")
    cdef bint plain
    call = None
    updated = ()
    if not epsilon >= 0:
        raise ValueError(f"eps must not be negative, got {eps}")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("training=False needs running_mean and running_var, got None")
    plain = is_plain(x) and fits(<cnp.ndarray>x, out) and is_axis(axis, <cnp.ndarray>x)
    if plain:
        lay(<cnp.ndarray>x, axis, &at)
        plain = (is_vector(weight, x, at.n, out) and is_vector(bias, x, at.n, out)
                 and is_running(running_mean, x, at.n, out, training)
                 and is_running(running_var, x, at.n, out, training))
    if not plain:
        call = _check.arrange(("x",), (x,), channel_index(axis, np.ndim(x)), out)
        lay(<cnp.ndarray>call.arrays[0], call.axis, &at)
        x = call.arrays[0]
        weight = vector(weight, "weight", at.n, x.dtype, out)
        bias = vector(bias, "bias", at.n, x.dtype, out)
        if training:
            updated = running_mean, running_var
            running_mean = running_vector(running_mean, "running_mean", at.n, out)
            running_var = running_vector(running_var, "running_var", at.n, out)
        else:
            running_mean = vector(running_mean, "running_mean", at.n, None, out)
            running_var = vector(running_var, "running_var", at.n, None, out)
        out = call.out
    if training and at.n > 0 and at.outer * at.inner == 1:
        raise ValueError(f"x must have more than one value per channel in training, not {x.shape}")
    y = result_like(<cnp.ndarray>x, out)
    mean = vector_like(<cnp.ndarray>x, at.n)
    inv_std = vector_like(<cnp.ndarray>x, at.n)
    if training and at.outer * at.inner == 0:
        mean.fill(np.nan)
        inv_std.fill(np.nan)
    elif cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_FLOAT:
        prepare[Job32](&job32, y, None, x, weight, bias, mean, inv_std, None, None, training, epsilon)
        run[Job32](&job32, sizeof(float), &at, running_mean, running_var, rate)
    else:
        prepare[Job64](&job64, y, None, x, weight, bias, mean, inv_std, None, None, training, epsilon)
        run[Job64](&job64, sizeof(double), &at, running_mean, running_var, rate)
    for asked, done in zip(updated, (running_mean, running_var)):
        if asked is not None and asked is not done:
            asked[...] = done
    return y if call is None else call.finish(y), mean, inv_std


def batch_norm_backward(grad, x, weight, mean, inv_std, bint training, axis, out):
    cdef Layout at
    cdef Job32 job32
    cdef Job64 job64
    cdef bint plain
    call = None
    plain = (is_plain(grad) and alike(<cnp.ndarray>grad, x) and fits(<cnp.ndarray>grad, out)
             and fits(<cnp.ndarray>x, out) and is_axis(axis, <cnp.ndarray>grad) and mean is not None
             and inv_std is not None)
    if plain:
        lay(<cnp.ndarray>grad, axis, &at)
        plain = (is_vector(weight, grad, at.n, out) and is_vector(mean, grad, at.n, out)
                 and is_vector(inv_std, grad, at.n, out))
    if not plain:
        call = _check.arrange(("grad", "x"), (grad, x), channel_index(axis, np.ndim(grad)), out)
        lay(<cnp.ndarray>call.arrays[0], call.axis, &at)
        grad, x = call.arrays
        weight = vector(weight, "weight", at.n, grad.dtype, out)
        for name, value in (("mean", mean), ("inv_std", inv_std)):
            if value is None:
                raise TypeError(f"{name} must be an array of one value per channel, not None")
        mean = vector(mean, "mean", at.n, grad.dtype, out)
        inv_std = vector(inv_std, "inv_std", at.n, grad.dtype, out)
        out = call.out
    if training and at.n > 0 and at.outer * at.inner == 1:
        raise ValueError(f"x must have more than one value per channel in training, not {x.shape}")
    dx = result_like(<cnp.ndarray>grad, out)
    dweight = vector_like(<cnp.ndarray>grad, at.n)
    dbias = vector_like(<cnp.ndarray>grad, at.n)
    if at.outer * at.inner == 0:
        dweight.fill(0)
        dbias.fill(0)
    elif cnp.PyArray_TYPE(<cnp.ndarray>grad) == cnp.NPY_FLOAT:
        prepare[Job32](&job32, dx, grad, x, weight, None, mean, inv_std, dweight, dbias, training, 0)
        run[Job32](&job32, sizeof(float), &at, None, None, 0)
    else:
        prepare[Job64](&job64, dx, grad, x, weight, None, mean, inv_std, dweight, dbias, training, 0)
        run[Job64](&job64, sizeof(double), &at, None, None, 0)
    return dx if call is None else call.finish(dx), dweight, dbias
