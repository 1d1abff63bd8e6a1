# Batch normalisation's work: chunks and phases. Part of batch_norm.pyx and step_batch_norm.pyx.
#
# The array is (outer, channels, inner). With inner = 1 the channels are columns and go to the *_cols primitives in
# panels of neighbours; otherwise each channel's runs of `inner` go to *_rows. A channel's elements are cut into at
# most CHUNKS chunks by the shape alone, each with its partial sums in a place of its own, joined in pairs: the
# bits depend neither on the threads nor on the schedule.
#
# Three phases: gather (partial sums of chunks), conclude (join them, coefficients), apply (the result). Where a
# panel's elements fit into the second-level cache, each panel goes through all three on its own: no barrier, one
# read from memory. Otherwise each phase goes over all chunks in the order of memory.

cdef enum:
    CHUNKS = 32
    ROWS = 64             # a chunk of columns has a multiple of these
    ELEMENTS = 16384      # at least about as many in a chunk of runs
    LINE = 16             # columns: panels begin on a multiple of these
    WIDE = 512            # columns of a panel where the phases go over all chunks
    CACHE = 1 << 19       # bytes that stay in the second-level cache
    SMALL = 8192          # elements: the GIL is kept

cdef extern from "loops.h":
    double FM_NEAR

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


cdef struct Cut:
    Py_ssize_t outer, channels, inner
    Py_ssize_t stride                # elements from one row of outer to the next
    Py_ssize_t x_stride              # and in x where it is not the gradient's
    Py_ssize_t rows, row_chunks      # a chunk: `rows` of outer ...
    Py_ssize_t width, width_chunks   # ... by `width` of inner
    Py_ssize_t chunks
    Py_ssize_t panel, panels         # channels of one task
    bint by_panel
    bint stream

# What a call is for, beside batch_norm and its backward: partial sums alone, or the result from given sums, which are
# mean and inv_std forward and those of the whole batch backward.
cdef enum:
    WHOLE = 0
    SUMS = 1
    RESULT = 2

# One call. y (OUT): result or dx; g, x (IN), g NULL forward; weight, bias (IN, may be NULL); mean, inv_std (OUT
# forward, IN backward); dweight, dbias (OUT); scale ... slope: scratch per channel; sum, m2: scratch per chunk
# and channel, in the end the channels' own in the first row: forward, means and sums of squared deviations; origin:
# scratch per channel forward, what its sums are relative to (find_origins).
cdef struct Job32:
    const fm_table *fm
    Cut cut
    int purpose
    bint training
    double eps
    double count   # of the values of a channel where the sums are given
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
    double *origin

cdef struct Job64:
    const fm_table *fm
    Cut cut
    int purpose
    bint training
    double eps
    double count   # of the values of a channel where the sums are given
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
    double *origin

ctypedef fused Job:
    Job32
    Job64


cdef void lay_out(Cut *cut, const Layout *at, size_t itemsize) noexcept nogil:
    """Cut the shape into chunks."""
    cdef Py_ssize_t outer = at.outer, channels = at.n, inner = at.inner
    cut.outer, cut.channels, cut.inner = outer, channels, inner
    cut.stride = cut.x_stride = channels * inner
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


cdef inline Py_ssize_t chunk_rows(const Cut *cut, Py_ssize_t k) noexcept nogil:
    return min(cut.rows, cut.outer - k // cut.width_chunks * cut.rows)


cdef inline Py_ssize_t chunk_width(const Cut *cut, Py_ssize_t k) noexcept nogil:
    return min(cut.width, cut.inner - k % cut.width_chunks * cut.width)


cdef inline Py_ssize_t chunk_start(const Cut *cut, Py_ssize_t k, Py_ssize_t c, Py_ssize_t stride) noexcept nogil:
    """Where chunk k of channel c begins."""
    return k // cut.width_chunks * cut.rows * stride + c * cut.inner + k % cut.width_chunks * cut.width


cdef void gather(const Job *job, Py_ssize_t k, Py_ssize_t p) noexcept nogil:
    """Partial sums of chunk k of the channels of panel p."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t stride = cut.stride, x_stride = cut.x_stride, rows = chunk_rows(cut, k), n = chunk_width(cut, k)
    cdef Py_ssize_t first = p * cut.panel, last = min(first + cut.panel, cut.channels), c, i, j
    cdef double *sums = job.sum + k * cut.channels
    cdef double *m2 = job.m2 + k * cut.channels
    if cut.inner == 1:
        i, j = chunk_start(cut, k, first, stride), chunk_start(cut, k, first, x_stride)
        if job.g == NULL:
            job.fm.moments_cols(sums + first, m2 + first, job.x + j, job.origin + first, rows, x_stride, last - first)
        else:
            job.fm.norm_sums_cols(sums + first, m2 + first, job.g + i, job.x + j, rows, stride, x_stride, last - first,
                                  job.mean + first, job.inv_std + first, cut.by_panel)
        return
    for c in range(first, last):
        i, j = chunk_start(cut, k, c, stride), chunk_start(cut, k, c, x_stride)
        if job.g == NULL:
            job.fm.moments_rows(sums + c, m2 + c, job.x + j, job.origin[c], rows, n, x_stride)
        else:
            job.fm.norm_sums_rows(sums + c, m2 + c, job.g + i, job.x + j, rows, n, stride, x_stride,
                                  job.mean[c], job.inv_std[c])


cdef void join_chunks(const Job *job, double *sums, double *m2, Py_ssize_t w) noexcept nogil:
    """The sums of w neighbouring channels in all chunks become those of the first: in pairs, so that roundings do not
    pile up."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t step = 1, a, b, c, i, k
    cdef Py_ssize_t[CHUNKS] n
    for k in range(cut.chunks):
        n[k] = chunk_rows(cut, k) * chunk_width(cut, k)
    while step < cut.chunks:
        for i in range((cut.chunks + step - 1) // (2 * step)):
            k = 2 * i * step
            a, b = k * cut.channels, (k + step) * cut.channels
            if job.g == NULL:
                job.fm.moments_merge(sums + a, m2 + a, n[k], sums + b, m2 + b, n[k + step], w)
                n[k] += n[k + step]
                continue
            for c in range(w):
                sums[a + c] += sums[b + c]
                m2[a + c] += m2[b + c]
        step *= 2


cdef void conclude(const Job *job, Py_ssize_t p) noexcept nogil:
    """Join the chunks' sums and find the coefficients of panel p."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t first = p * cut.panel, w = min(cut.panel, cut.channels - first), c
    cdef double count = cut.outer * cut.inner, scale
    cdef double *sums = job.sum + first
    cdef double *m2 = job.m2 + first
    if gathers(job):
        join_chunks(job, sums, m2, w)
        for c in range(w if job.g == NULL else 0):
            sums[c] = job.origin[first + c] + sums[c] / count
    if job.purpose == SUMS:
        return
    if job.g == NULL and job.purpose == RESULT:
        for c in range(first, first + w):
            job.center[c] = job.sum[c]
            set_line(job, c, job.center[c] - job.sum[c], job.m2[c])
        return
    if job.g == NULL:
        job.fm.norm_coefficients(
            job.mean + first, job.inv_std + first, job.center + first, job.scale + first, job.shift + first, sums, m2,
            count if job.training else 1.0, job.eps, NULL if job.weight == NULL else job.weight + first,
            NULL if job.bias == NULL else job.bias + first, w)
        if Job is Job64 and job.training:
            rescue(job, first, w, count)
        return
    job.fm.norm_backward_coefficients(
        job.dweight + first, job.dbias + first, job.scale + first, job.shift + first, job.center + first,
        job.slope + first, sums, m2, job.count if job.purpose == RESULT else count,
        NULL if job.weight == NULL else job.weight + first, job.inv_std + first, w)
    if not job.training:
        for c in range(first, first + w):
            job.center[c] = job.shift[c] = 0


cdef inline void find_origins(const Job *job) noexcept nogil:
    """By the channels' elements at both ends and in the middle."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t c, middle = cut.outer // 2 * cut.x_stride + cut.inner // 2
    cdef Py_ssize_t last = (cut.outer - 1) * cut.x_stride + cut.inner - 1
    for c in range(cut.channels):
        x = job.x + c * cut.inner
        job.origin[c] = fm_origin(x[0], x[middle], x[last])


cdef inline void set_line(const Job *job, Py_ssize_t c, double rounding, double inv_std) noexcept nogil:
    """scale and shift, in which the rounding of the center is made good."""
    cdef double scale = inv_std if job.weight == NULL else job.weight[c] * inv_std
    job.scale[c] = scale
    job.shift[c] = (0 if job.bias == NULL else job.bias[c]) + rounding * scale


cdef void rescue(const Job64 *job, Py_ssize_t first, Py_ssize_t w, double count) noexcept nogil:
    """Channels whose squares leave the range."""
    cdef Py_ssize_t c
    cdef double inv_std
    for c in range(first, first + w):
        if job.m2[c] - job.m2[c] == 0 and job.m2[c] / count + job.eps > FM_NEAR:
            continue
        inv_std = job.inv_std[c]
        job.center[c] = job.fm.norm_far(&job.sum[c], &inv_std, job.x + c * job.cut.inner, job.cut.outer,
                                        job.cut.inner, job.cut.x_stride, job.m2[c], job.eps)
        job.mean[c], job.inv_std[c] = job.sum[c], inv_std
        set_line(job, c, job.center[c] - job.sum[c], inv_std)


cdef void apply(const Job *job, Py_ssize_t k, Py_ssize_t p) noexcept nogil:
    """The result in chunk k of the channels of panel p."""
    cdef const Cut *cut = &job.cut
    cdef Py_ssize_t stride = cut.stride, x_stride = cut.x_stride, rows = chunk_rows(cut, k), n = chunk_width(cut, k)
    cdef Py_ssize_t first = p * cut.panel, last = min(first + cut.panel, cut.channels), c, i, j
    if cut.inner == 1:
        i, j = chunk_start(cut, k, first, stride), chunk_start(cut, k, first, x_stride)
        if job.g == NULL:
            job.fm.norm_cols(job.y + i, job.x + i, rows, stride, last - first, job.center + first,
                             job.scale + first, job.shift + first, cut.by_panel, cut.stream)
        elif job.training:
            job.fm.norm_backward_cols(
                job.y + i, job.g + i, job.x + j, rows, stride, x_stride, last - first, job.mean + first,
                job.inv_std + first, job.center + first, job.slope + first, job.scale + first,
                job.shift + first, cut.by_panel, cut.stream)
        else:
            job.fm.norm_cols(job.y + i, job.g + i, rows, stride, last - first, job.center + first,
                             job.scale + first, job.shift + first, cut.by_panel, cut.stream)
        return
    for c in range(first, last):
        i, j = chunk_start(cut, k, c, stride), chunk_start(cut, k, c, x_stride)
        if job.g == NULL:
            job.fm.norm_rows(job.y + i, job.x + i, rows, n, stride, job.center[c], job.scale[c], job.shift[c],
                             cut.stream)
        elif job.training:
            job.fm.norm_backward_rows(
                job.y + i, job.g + i, job.x + j, rows, n, stride, x_stride, job.mean[c], job.inv_std[c], job.center[c],
                job.slope[c], job.scale[c], job.shift[c], cut.stream)
        else:
            job.fm.norm_rows(job.y + i, job.g + i, rows, n, stride, job.center[c], job.scale[c],
                             job.shift[c], cut.stream)


cdef inline bint gathers(const Job *job) noexcept nogil:
    return job.purpose == SUMS or (job.purpose == WHOLE and (job.training or job.g != NULL))


cdef void by_panel(const Job *job, int part, int parts) noexcept nogil:
    """This part's panels, each from end to end."""
    cdef Py_ssize_t p, k
    for p in range(job.cut.panels * part // parts, job.cut.panels * (part + 1) // parts):
        if gathers(job):
            for k in range(job.cut.chunks):
                gather(job, k, p)
        conclude(job, p)
        if job.purpose == SUMS:
            continue
        for k in range(job.cut.chunks - 1, -1, -1):
            apply(job, k, p)
