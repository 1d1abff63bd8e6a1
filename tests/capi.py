"""fastml's C interface as it was promised, and its functions by ctypes.

The lists are what extensions out there were built for. A new member goes to the end of one, here and in fastml.h; any
other change needs a new FASTML_ABI.
"""

import ctypes
import re
from pathlib import Path

import numpy as np

from fastml import capi

ABI = 1
TABLE = (
    "void (*softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream)",
    "void (*log_softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream)",
    "void (*softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n, int stream)",
    "void (*log_softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n, int stream)",
    "void (*logsumexp_rows)(void *lse, const void *x, size_t rows, size_t n)",
    "double (*sum)(const void *x, size_t n)",
    "double (*norm)(const void *x, size_t n)",
    "void (*column_sums)(void *sum, const void *x, size_t n, ptrdiff_t stride, size_t width)",
    "void (*relu)(void *y, const void *x, size_t n, int stream)",
    "void (*relu_backward)(void *dx, const void *g, const void *x, size_t n, int stream)",
    "void (*curve)(int f, void *y, const void *x, size_t n, double a, double b, int stream)",
    "void (*curve_backward)(int f, void *dx, const void *g, const void *x, size_t n, double a, double b, int stream)",
    "void (*dropout)(void *y, const void *x, size_t n, double p, uint64_t seed, uint64_t offset, int stream)",
    "void (*uniform)(void *y, size_t n, uint64_t seed, uint64_t offset)",
    (
        "void (*sgd)(void *p, void *v, const void *g, size_t n, double lr, double momentum, double dampening, "
        "double decay, int nesterov)"
    ),
    (
        "void (*adamw)(void *p, void *m, void *v, const void *g, size_t n, double rate, double beta1, double beta2, "
        "double inv_root, double eps, double keep)"
    ),
)
API = (
    "unsigned int abi, size, table_size, curves",
    "const fastml_table *table32, *table64",
    "size_t cache_bytes",
    "void (*words)(uint32_t *words, size_t n, uint64_t seed, uint64_t offset)",
    "void (*dropout_mask)(unsigned char *kept, size_t n, double p, uint64_t seed, uint64_t offset)",
    "int (*threads)(double nanoseconds)",
    "void (*threads_done)(void)",
    "void (*parallel_for)(void (*body)(void *data, size_t i), void *data, size_t count, double nanoseconds)",
)
CURVES = ("GELU", "GELU_TANH", "SILU", "SIGMOID", "TANH", "SOFTPLUS", "ELU", "LEAKY_RELU", "HARD_SWISH")

HEADER = Path(capi.get_include(), "fastml.h")
NUMBERS = {
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "double": ctypes.c_double,
    "size_t": ctypes.c_size_t,
    "ptrdiff_t": ctypes.c_ssize_t,
    "uint64_t": ctypes.c_uint64,
    "void": None,
}
Body = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)


def members(struct):
    """What a struct of the header declares, in its order."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    (body,) = re.findall(rf"typedef struct {struct} {{(.*?)}} {struct};", text, re.DOTALL)
    return tuple(" ".join(member.split()) for member in body.split(";")[:-1])


def type_of(parameter):
    if "(*" in parameter:
        return Body
    return ctypes.c_void_p if "*" in parameter else NUMBERS[parameter.rsplit(" ", 1)[0]]


def fields(declarations):
    """The declarations as the fields of a ctypes structure."""
    for declaration in declarations:
        function = re.fullmatch(r"(\w+) \(\*(\w+)\)\((.*)\)", declaration)
        if function:
            result, name, inner = function.groups()
            parameters = re.findall(r"(?:[^,(]|\([^)]*\))+", inner) if inner != "void" else []
            yield name, ctypes.CFUNCTYPE(NUMBERS[result], *(type_of(p.strip()) for p in parameters))
        else:
            kind, names = re.fullmatch(r"(.*?) (\*?\w+(?:, \*?\w+)*)", declaration).groups()
            for name in names.split(", "):
                yield name.strip("*"), ctypes.c_void_p if "*" in name else NUMBERS[kind]


class Table(ctypes.Structure):
    _fields_ = list(fields(TABLE))


class Api(ctypes.Structure):
    _fields_ = list(fields(API))


def api():
    """The struct in the capsule."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return Api.from_address(pointer(capi._API, b"fastml.capi._API"))


def call(dtype, name, *arguments):
    """A function of the table of this dtype, arrays by their addresses."""
    table = Table.from_address(api().table32 if np.dtype(dtype).itemsize == 4 else api().table64)
    return getattr(table, name)(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments))
