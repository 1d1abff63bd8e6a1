"""What an extension sees before import_fastml(), and of sizes without a table; tests/test_cimport.py builds it."""

from fastml.capi cimport FASTML_ABI, cache_bytes, import_fastml, table_of

abi = FASTML_ABI


def start():
    import_fastml()
    return cache_bytes()


def table(size_t itemsize):
    cdef double x = 3
    return table_of(itemsize).norm(&x, 0)
