"""Batch normalisation in three phases, for the op (batch_norm.pyx) and for a tile of a training step.

The array is (outer, channels, inner). With inner = 1 the channels are columns, and panels of neighbours go to the
*_cols primitives. Otherwise each channel's runs of `inner` go to *_rows. The shape alone cuts a channel's elements into
at most CHUNKS chunks. A chunk's partial sums have a place of their own, and chunks are joined in pairs: the bits depend
neither on the threads nor on the schedule.

The phases are gather (partial sums of a chunk), conclude (join them, coefficients) and apply (the result). Where a
panel's elements fit into the second-level cache it goes through all three on its own (whole_panel): no barrier, and one
read from memory. Otherwise each phase goes over all chunks in the order of memory.
"""

from cython.parallel import parallel

from .. cimport _numpy as cnp

from .._check cimport Layout, as3d, ceil_div
from .._openmp cimport fm_work, join_team, leave_team, next_block, next_work, share_work
from .._simd cimport cache_bytes, element, fm_origin

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK_ROWS = 64            # a chunk of columns has a multiple of these
    CHUNK_ELEMENTS = 16384     # about: a chunk of runs has at least as many
    LINE_CHANNELS = 16         # panels of columns begin on a multiple of these
    PANEL_CHANNELS = 512       # of a panel of columns where each phase goes over all chunks
    PANEL_RUNS = 8             # channels of a panel of runs there
    CACHE_BYTES = 1 << 19      # what stays in the second-level cache

cdef extern from "loops.h":
    double FM_NEAR


cdef void cut_chunks(Cut *cut, const Layout *at, size_t itemsize) noexcept nogil:
    cdef Py_ssize_t outer = at.outer, channels = at.n, inner = at.inner
    cut.outer, cut.channels, cut.inner = outer, channels, inner
    cut.stride = cut.x_stride = channels * inner
    if inner == 1:
        cut.width, cut.width_chunks = 1, 1
        cut.rows = max(1, ceil_div(ceil_div(outer, CHUNKS), CHUNK_ROWS)) * CHUNK_ROWS
    else:
        cut.width_chunks = max(1, min(CHUNKS // 2, ceil_div(inner, CHUNK_ELEMENTS)))
        cut.width = max(1, ceil_div(ceil_div(inner, cut.width_chunks), CHUNK_ROWS)) * CHUNK_ROWS
        cut.width_chunks = max(1, ceil_div(inner, cut.width))
        cut.rows = min(CHUNKS // cut.width_chunks, ceil_div(outer * min(cut.width, inner), CHUNK_ELEMENTS))
        cut.rows = max(1, ceil_div(outer, max(1, cut.rows)))
    cut.chunks = ceil_div(outer, cut.rows) * cut.width_chunks
    cut.stream = outer * channels * inner * itemsize > cache_bytes


cdef void schedule(Cut *cut, size_t itemsize, int threads) noexcept nogil:
    cdef Py_ssize_t channel_bytes = cut.outer * cut.inner * itemsize
    if cut.inner == 1:
        cut.panel = ceil_div(ceil_div(cut.channels, threads), LINE_CHANNELS) * LINE_CHANNELS
        cut.by_panel = channel_bytes * cut.panel <= CACHE_BYTES and cut.panel * (threads - 1) < cut.channels
        if not cut.by_panel:
            cut.panel = PANEL_CHANNELS
    else:
        cut.panel = 1
        cut.by_panel = channel_bytes <= CACHE_BYTES and (cut.channels % threads == 0 or cut.channels >= 4 * threads)
        if not cut.by_panel:
            cut.panel = min(PANEL_RUNS, ceil_div(cut.channels, threads))
    cut.panels = ceil_div(cut.channels, cut.panel)


cdef size_t place(Norm *job, char *memory) noexcept nogil:
    cdef size_t channels = job.cut.channels, vector = channels * job.itemsize
    cdef size_t sums = channels * (job.cut.chunks if gathers(job) else 1) * sizeof(double)
    cdef char *vectors = memory + 2 * sums + channels * sizeof(double)
    if memory != NULL:
        job.sum, job.m2, job.origin = <double *>memory, <double *>(memory + sums), <double *>(memory + 2 * sums)
        job.scale, job.shift, job.center, job.slope = (
            vectors, vectors + vector, vectors + 2 * vector, vectors + 3 * vector
        )
    return 2 * sums + channels * sizeof(double) + 4 * vector


cdef struct Chunk:
    Py_ssize_t k        # its number
    Py_ssize_t o        # its first row of outer, and
    Py_ssize_t rows     # how many
    Py_ssize_t i        # its first element of inner, and
    Py_ssize_t n        # how many


cdef inline Chunk chunk(const Cut *cut, Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t o = k // cut.width_chunks * cut.rows, i = k % cut.width_chunks * cut.width
    return Chunk(k, o, min(cut.rows, cut.outer - o), i, min(cut.width, cut.inner - i))


cdef inline Py_ssize_t panel_channels(const Cut *cut, Py_ssize_t p) noexcept nogil:
    return min(cut.panel, cut.channels - p * cut.panel)


cdef inline void *from_channel(const Norm *job, void *vector, Py_ssize_t c) noexcept nogil:
    """A vector from channel c on; NULL of NULL."""
    return element(vector, c, job.itemsize)


cdef void find_origins(const Norm *job, const real *x) noexcept nogil:
    """By the channels' elements at both ends and in the middle."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t c, middle = cut.outer // 2 * cut.x_stride + cut.inner // 2
    cdef Py_ssize_t last = (cut.outer - 1) * cut.x_stride + cut.inner - 1
    for c in range(cut.channels):
        job.origin[c] = fm_origin(x[0], x[middle], x[last])
        x += cut.inner


cdef void gather(const Norm *job, const real *g, const real *x, const Chunk *at, Py_ssize_t p) noexcept nogil:
    """Partial sums of a chunk in panel p. g (backward) and x begin there."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t first = p * cut.panel, width = panel_channels(cut, p), c
    cdef double *sums = job.sum + at.k * cut.channels + first
    cdef double *m2 = job.m2 + at.k * cut.channels + first
    cdef const real *mean = <const real *>from_channel(job, job.mean, first)
    cdef const real *inv_std = <const real *>from_channel(job, job.inv_std, first)
    if cut.inner == 1 and not job.backward:
        job.fm.moments_cols(sums, m2, x, job.origin + first, at.rows, cut.x_stride, width)
    elif cut.inner == 1:
        job.fm.norm_sums_cols(sums, m2, g, x, at.rows, cut.stride, cut.x_stride, width, mean, inv_std, cut.by_panel)
    elif not job.backward:
        for c in range(width):
            job.fm.moments_rows(sums + c, m2 + c, x + c * cut.inner, job.origin[first + c], at.rows, at.n, cut.x_stride)
    else:
        for c in range(width):
            job.fm.norm_sums_rows(sums + c, m2 + c, g + c * cut.inner, x + c * cut.inner, at.rows, at.n, cut.stride,
                                  cut.x_stride, mean[c], inv_std[c])


cdef void join_chunks(const Norm *job, double *sums, double *m2, Py_ssize_t w) noexcept nogil:
    """The sums of w neighbouring channels in all chunks become those of the first chunk: in pairs, so that roundings do
    not pile up."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t step = 1, a, b, c, i, k
    cdef Py_ssize_t[CHUNKS] n
    cdef Chunk at
    for k in range(cut.chunks if cut.chunks > 1 else 0):
        at = chunk(cut, k)
        n[k] = at.rows * at.n
    while step < cut.chunks:
        for i in range((cut.chunks + step - 1) // (2 * step)):
            k = 2 * i * step
            a, b = k * cut.channels, (k + step) * cut.channels
            if not job.backward:
                job.fm.moments_merge(sums + a, m2 + a, n[k], sums + b, m2 + b, n[k + step], w)
                n[k] += n[k + step]
                continue
            for c in range(w):
                sums[a + c] += sums[b + c]
                m2[a + c] += m2[b + c]
        step *= 2


cdef void conclude(const Norm *job, const real *x, Py_ssize_t p) noexcept nogil:
    """Joins the chunks' sums of panel p and finds its coefficients. x begins with the panel."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t first = p * cut.panel, w = panel_channels(cut, p), c
    cdef double *sums = job.sum + first
    cdef double *m2 = job.m2 + first
    if gathers(job):
        join_chunks(job, sums, m2, w)
        for c in range(0 if job.backward else w):
            sums[c] = job.origin[first + c] + sums[c] / <double>(cut.outer * cut.inner)
    if job.purpose == SUMS:
        return
    if job.backward:
        conclude_backward(job, x, first, w)
    elif job.purpose == RESULT:
        for c in range(first, first + w):
            (<real *>job.center)[c] = job.sum[c]
            set_line(job, x, c, (<real *>job.center)[c] - job.sum[c], job.m2[c])
    else:
        conclude_forward(job, x, first, w)


cdef void conclude_forward(const Norm *job, const real *x, Py_ssize_t first, Py_ssize_t w) noexcept nogil:
    """mean, inv_std and coefficients from the joined or the running moments."""
    cdef double count = job.cut.outer * job.cut.inner if job.training else 1
    job.fm.norm_coefficients(
        from_channel(job, job.mean, first), from_channel(job, job.inv_std, first),
        from_channel(job, job.center, first), from_channel(job, job.scale, first), from_channel(job, job.shift, first),
        job.sum + first, job.m2 + first, count, job.eps, from_channel(job, job.weight, first),
        from_channel(job, job.bias, first), w)
    if real is double and job.training:
        rescue(job, x, first, w, count)


cdef void conclude_backward(const Norm *job, const real *x, Py_ssize_t first, Py_ssize_t w) noexcept nogil:
    """dweight, dbias and coefficients from the joined or the given sums."""
    cdef Py_ssize_t c
    job.fm.norm_backward_coefficients(
        from_channel(job, job.dweight, first), from_channel(job, job.dbias, first),
        from_channel(job, job.scale, first), from_channel(job, job.shift, first), from_channel(job, job.center, first),
        from_channel(job, job.slope, first), job.sum + first, job.m2 + first,
        job.count if job.purpose == RESULT else <double>(job.cut.outer * job.cut.inner),
        from_channel(job, job.weight, first), from_channel(job, job.inv_std, first), w)
    for c in range(first, first if job.training else first + w):
        (<real *>job.center)[c] = (<real *>job.shift)[c] = 0


cdef inline void set_line(const Norm *job, const real *like, Py_ssize_t c, double rounding,
                          double inv_std) noexcept nogil:
    """scale and shift of channel c, in which the rounding of the center is made good."""
    cdef double scale = inv_std if job.weight == NULL else (<real *>job.weight)[c] * inv_std
    (<real *>job.scale)[c] = scale
    (<real *>job.shift)[c] = (0 if job.bias == NULL else (<real *>job.bias)[c]) + rounding * scale


cdef void rescue(const Norm *job, const real *x, Py_ssize_t first, Py_ssize_t w, double count) noexcept nogil:
    """Channels of doubles whose squares leave the range; x begins with channel `first`."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t c
    cdef double inv_std
    for c in range(first, first + w):
        if job.m2[c] - job.m2[c] == 0 and job.m2[c] / count + job.eps > FM_NEAR:
            continue
        inv_std = (<real *>job.inv_std)[c]
        (<real *>job.center)[c] = job.fm.norm_far(&job.sum[c], &inv_std, x + (c - first) * cut.inner, cut.outer,
                                                  cut.inner, cut.x_stride, job.m2[c], job.eps)
        (<real *>job.mean)[c], (<real *>job.inv_std)[c] = job.sum[c], inv_std
        set_line(job, x, c, (<real *>job.center)[c] - job.sum[c], inv_std)


cdef void apply(const Norm *job, real *y, const real *g, const real *x, const Chunk *at,
                Py_ssize_t p) noexcept nogil:
    """The result y in a chunk of panel p. y, g (backward) and x begin there."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t first = p * cut.panel, width = panel_channels(cut, p), c, i
    cdef real *scale = <real *>from_channel(job, job.scale, first)
    cdef real *shift = <real *>from_channel(job, job.shift, first)
    cdef real *center = <real *>from_channel(job, job.center, first)
    cdef real *slope = <real *>from_channel(job, job.slope, first)
    cdef real *mean = <real *>from_channel(job, job.mean, first)
    cdef real *inv_std = <real *>from_channel(job, job.inv_std, first)
    cdef bint through = job.backward and job.training    # the gradient goes through the statistics, too
    cdef const real *source = g if job.backward else x
    if cut.inner == 1 and through:
        job.fm.norm_backward_cols(y, g, x, at.rows, cut.stride, cut.x_stride, width, mean, inv_std, center, slope,
                                  scale, shift, cut.by_panel, cut.stream)
    elif cut.inner == 1:
        job.fm.norm_cols(y, source, at.rows, cut.stride, width, center, scale, shift, cut.by_panel, cut.stream)
    elif through:
        for c in range(width):
            i = c * cut.inner
            job.fm.norm_backward_rows(y + i, g + i, x + i, at.rows, at.n, cut.stride, cut.x_stride, mean[c], inv_std[c],
                                      center[c], slope[c], scale[c], shift[c], cut.stream)
    else:
        for c in range(width):
            i = c * cut.inner
            job.fm.norm_rows(y + i, source + i, at.rows, at.n, cut.stride, center[c], scale[c], shift[c], cut.stream)


cdef void whole_panel(const Norm *job, real *y, const real *g, const real *x, Py_ssize_t p) noexcept nogil:
    """All phases of panel p. y, g and x begin with the panel."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t k, i, j
    cdef Chunk at
    if gathers(job):
        for k in range(cut.chunks):
            at = chunk(cut, k)
            i, j = at.o * cut.stride + at.i, at.o * cut.x_stride + at.i
            gather(job, g + i, x + j, &at, p)
    conclude(job, x, p)
    if job.purpose == SUMS:
        return
    for k in range(cut.chunks - 1, -1, -1):
        at = chunk(cut, k)
        i, j = at.o * cut.stride + at.i, at.o * cut.x_stride + at.i
        apply(job, y + i, g + i, x + j, &at, p)


# ---- the whole call ----------------------------------------------------------------------------------------------


cdef void norm_alone(const Norm *job, void *y, void *g, void *x) noexcept nogil:
    if job.itemsize == sizeof(float):
        all_panels(job, <float *>y, <float *>g, <float *>x)
    else:
        all_panels(job, <double *>y, <double *>g, <double *>x)


cdef void all_panels(const Norm *job, real *y, const real *g, const real *x) noexcept nogil:
    cdef Py_ssize_t p, i
    if gathers(job) and not job.backward:
        find_origins(job, x)
    for p in range(job.cut.panels):
        i = p * job.cut.panel * job.cut.inner
        whole_panel(job, y + i, g + i, x + i, p)


# Over memoryviews: y (OUT), g (backward), x (IN), each (outer, channels, inner). A part of `parts` is one thread's.


cdef void panels_part(const Norm *job, real[:, :, ::1] y, const real[:, :, ::1] g, const real[:, :, ::1] x,
                      int part, int parts) noexcept nogil:
    """This part's panels, each from end to end."""
    cdef Py_ssize_t p, c
    for p in range(job.cut.panels * part // parts, job.cut.panels * (part + 1) // parts):
        c = p * job.cut.panel
        whole_panel(job, &y[0, c, 0], &g[0, c, 0], &x[0, c, 0], p)


cdef void gather_part(const Norm *job, const real[:, :, ::1] g, const real[:, :, ::1] x, int part,
                      int parts) noexcept nogil:
    cdef Py_ssize_t i, c, panels = job.cut.panels, count = panels * job.cut.chunks
    cdef Chunk at
    for i in range(count * part // parts, count * (part + 1) // parts):
        at, c = chunk(&job.cut, i // panels), i % panels * job.cut.panel
        gather(job, &g[at.o, c, at.i], &x[at.o, c, at.i], &at, i % panels)


cdef void conclude_part(const Norm *job, const real[:, :, ::1] x, int part, int parts) noexcept nogil:
    cdef Py_ssize_t p
    for p in range(job.cut.panels * part // parts, job.cut.panels * (part + 1) // parts):
        conclude(job, &x[0, p * job.cut.panel, 0], p)


cdef void apply_part(const Norm *job, real[:, :, ::1] y, const real[:, :, ::1] g, const real[:, :, ::1] x,
                     int part, int parts) noexcept nogil:
    """Backwards: what was gathered last is still in cache."""
    cdef Py_ssize_t i, c, panels = job.cut.panels, count = panels * job.cut.chunks
    cdef Chunk at
    for i in range(count * (part + 1) // parts - 1, count * part // parts - 1, -1):
        at, c = chunk(&job.cut, i // panels), i % panels * job.cut.panel
        apply(job, &y[at.o, c, at.i], &g[at.o, c, at.i], &x[at.o, c, at.i], &at, i % panels)


cdef void on_team(const Norm *job, real[:, :, ::1] y, const real[:, :, ::1] g, const real[:, :, ::1] x,
                  int threads) noexcept:
    """The whole call on a team (or on one thread), in as many parts."""
    cdef Py_ssize_t t = 0
    cdef fm_work first, second, third
    cdef bint by_panel = job.cut.by_panel
    if gathers(job) and not job.backward:
        find_origins(job, &x[0, 0, 0])
    share_work(&first, threads if by_panel or gathers(job) else 0, threads)
    share_work(&second, 0 if by_panel else threads, threads)
    share_work(&third, 0 if by_panel or job.purpose == SUMS else threads, threads)
    with nogil, parallel(num_threads=threads):
        t = join_team(&first)
        while t >= 0:
            if by_panel:
                panels_part(job, y, g, x, t, threads)
            else:
                gather_part(job, g, x, t, threads)
            t = next_block(&first)
        t = next_work(&first, &second)
        while t >= 0:
            conclude_part(job, x, t, threads)
            t = next_block(&second)
        t = next_work(&second, &third)
        while t >= 0:
            apply_part(job, y, g, x, t, threads)
            t = next_block(&third)
        leave_team()


cdef int norm_together(const Norm *job, cnp.ndarray y, cnp.ndarray g, cnp.ndarray x, const Layout *at,
                       int threads) except -1:
    if job.itemsize == sizeof(float):
        on_team[float](job, as3d(y, at), as3d(g, at), as3d(x, at), threads)
    else:
        on_team[double](job, as3d(y, at), as3d(g, at), as3d(x, at), threads)
    return 0
