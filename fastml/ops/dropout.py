"""Dropout, its gradient and its mask, from a counter-based generator."""

from .._kernels import dropout as _kernel


def dropout(x, p=0.5, *, seed, offset=0, out=None):
    r"""Each element dropped with probability p, the others scaled so that the mean stays.

    .. math:: y_i = \begin{cases} x_i / (1 - p) & u_i \ge 2^{32} p \\ 0 & \text{otherwise} \end{cases}

    u_i is a word of Philox4x32-10 that depends on seed and offset + i and nothing else, i counting the elements
    in C order whatever the strides. So the same arguments give the same result for any number of threads,
    an array may be handled in pieces by advancing offset, and no mask is stored.

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    p : float
        The probability of dropping, 0 ... 1; p = 1 drops everything.
    seed : int
        Chooses the stream, 0 ... 2**64 - 1. Use another seed, or an offset past the elements used so far,
        for every layer and step.
    offset : int
        The place in the stream of the first element, 0 ... 2**64 - 1; past the end it starts again at 0.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. A dropped element is +0 even where x is NaN or infinite.

    Notes
    -----
    The threshold is 2**32 p rounded to the nearest integer, ties to even. Block b = e // 4 of element
    e = (offset + i) mod 2**64 is the generator's output for the counter (b mod 2**32, b // 2**32, 0, 0) and the
    key (seed mod 2**32, seed // 2**32); u_i is its word e mod 4. The scale 1 / (1 - p) is rounded once to x's dtype.

    Raises
    ------
    ValueError
        p outside 0 ... 1 or NaN; seed or offset out of range; out of another shape, read-only, or overlapping
        x in part.
    TypeError
        x, out or an option of a kind that is not taken.

    Source: N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15,
    2014 (in the form that scales while training); J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3,
    SC 2011.

    Examples
    --------
    >>> import fastml
    >>> fastml.dropout([1.0, 2.0, 3.0, 4.0, 5.0], 0.5, seed=0)
    array([ 0.,  4.,  6.,  8., 10.])
    """
    return _kernel.dropout(x, p, seed, offset, out)


def dropout_backward(grad, p=0.5, *, seed, offset=0, out=None):
    r"""Gradient of dropout: from dL/dy to dL/dx, with the mask drawn again from seed and offset.

    .. math:: dx_i = \begin{cases} g_i / (1 - p) & u_i \ge 2^{32} p \\ 0 & \text{otherwise} \end{cases}

    Parameters
    ----------
    grad : array_like, any shape
        The loss's gradient by y.
    p, seed, offset
        What `dropout` was called with.
    out : ndarray, optional
        As in `dropout`; may be grad itself.

    Raises ValueError and TypeError as `dropout` does. Source: as in `dropout`.

    Examples
    --------
    >>> import fastml
    >>> fastml.dropout_backward([1.0, 1.0, 1.0, 1.0, 1.0], 0.5, seed=0)
    array([0., 2., 2., 2., 2.])
    """
    return _kernel.dropout_backward(grad, p, seed, offset, out)


def dropout_mask(shape, p=0.5, *, seed, offset=0):
    r"""Which elements dropout keeps in an array of this shape.

    .. math:: m_i = [\, u_i \ge 2^{32} p \,]

    Parameters
    ----------
    shape : int or tuple of ints
    p, seed, offset
        As in `dropout`.

    Returns
    -------
    bool ndarray, True = kept.

    Raises ValueError (a negative length; an option out of range) and TypeError (kind of argument).
    Source: as in `dropout`.

    Examples
    --------
    >>> import fastml
    >>> fastml.dropout_mask(5, 0.5, seed=0)
    array([False,  True,  True,  True,  True])
    """
    return _kernel.dropout_mask(shape, p, seed, offset)
