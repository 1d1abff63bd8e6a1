"""How group normalisation cuts its work: by the shape of a sample alone, so that a training step cuts it alike."""

cdef enum:
    SHORT_ELEMENTS = 32      # elements of a channel's run below which a group of several is normalised as a row
    BLOCK_SAMPLES = 32       # samples of a block of the gradient, at most
    TASK_ELEMENTS = 16384    # and about so many elements
    CHUNKS = 64              # at most: blocks are joined in chunks of equally many


cdef inline bint is_short(Py_ssize_t channels, Py_ssize_t n) noexcept nogil:
    """Whether groups of `channels` runs of n are normalised as rows."""
    return channels > 1 and n < SHORT_ELEMENTS


cdef inline Py_ssize_t block_rows(Py_ssize_t sample, bint short) noexcept nogil:
    """Samples of a block, of so many elements each; in rows, each costs as much as a sample."""
    return max(8 if short else 1, min(<Py_ssize_t>BLOCK_SAMPLES, TASK_ELEMENTS // max(1, sample)))


cdef inline Py_ssize_t room_elements(Py_ssize_t groups, Py_ssize_t group, bint short) noexcept nogil:
    """Scratch for so many groups of so many elements at once."""
    return (2 * groups + 1) * group if short else 0
