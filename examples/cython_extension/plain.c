/* softmax(y, x, columns): y = softmax of the rows of x, buffers of float or double, on one thread; in plain C. */
#define PY_SSIZE_T_CLEAN
#include <fastml.h>

static PyObject *softmax(PyObject *self, PyObject *args)
{
    Py_buffer y, x;
    Py_ssize_t columns;
    const fastml_table *fm;
    (void)self;
    if (!PyArg_ParseTuple(args, "w*y*n", &y, &x, &columns))
        return NULL;
    fm = fastml_table_of((size_t)x.itemsize);
    if (fm == NULL || y.itemsize != x.itemsize || y.len != x.len || columns < 1 ||
        x.len % (columns * x.itemsize) != 0) {
        PyErr_SetString(PyExc_ValueError, "x and y must hold as many floats or doubles, in whole rows");
    } else {
        const size_t rows = (size_t)(x.len / (columns * x.itemsize));
        Py_BEGIN_ALLOW_THREADS;
        fm->softmax_rows(y.buf, x.buf, rows, (size_t)columns, 0);
        Py_END_ALLOW_THREADS;
    }
    PyBuffer_Release(&y);
    PyBuffer_Release(&x);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"softmax", softmax, METH_VARARGS, "softmax(y, x, columns)"}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "plain", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_plain(void)
{
    if (fastml_import() < 0)
        return NULL;
    return PyModule_Create(&module);
}
