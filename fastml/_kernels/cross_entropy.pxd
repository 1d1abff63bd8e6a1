"""The cut of the losses' sum, which depends on the shape alone; a training step adds in the same order."""

cdef enum:
    SMALL = 8192      # elements: one unit
    BLOCK = 16384     # elements of a unit of rows, about
    SLOTS = 256
    GROUP_ROWS = 8    # rows whose losses are added at once


cdef inline Py_ssize_t unit_rows(Py_ssize_t n) noexcept nogil:
    """Rows of n elements in a unit: whole groups of them where rows are short."""
    cdef Py_ssize_t rows = BLOCK // max(n, 1)
    return max(1, rows if rows < GROUP_ROWS else rows - rows % GROUP_ROWS)


cdef inline Py_ssize_t slot_units(Py_ssize_t units) noexcept nogil:
    """Units added in one place."""
    return max(1, (units + SLOTS - 1) // SLOTS)
