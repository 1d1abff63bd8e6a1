"""Class labels as one-hot rows."""

import numpy as np

from .._kernels import one_hot as _kernel


def one_hot(labels, num_classes=None, *, axis=-1, dtype=np.float32, unknown="error"):
    r"""Each label as a row of zeros with a one in the label's place.

    .. math:: y_{\ldots c \ldots} = [\, c = \mathrm{labels}_{\ldots} \,]

    Parameters
    ----------
    labels : array_like of integers, any shape
        Class labels, 0 ... num_classes - 1.
    num_classes : int, optional
        The length of the class axis; None: the largest label plus 1.
    axis : int
        Where the class axis is in the result, which has one axis more than labels; the last one by default.
    dtype : dtype
        The result's: bool, integers, floating point, complex, of any size and byte order.
    unknown : "error" or "zeros"
        A label that is negative or not below num_classes is an IndexError, or has no one in its row.

    Returns
    -------
    ndarray, C-contiguous.

    Raises
    ------
    IndexError
        A label outside the classes, unless unknown="zeros".
    ValueError
        axis out of range; a negative num_classes; none where there are no labels to tell; another unknown.
    TypeError
        labels that are not integers (bool is none); a dtype that is not numeric.

    Source: torch.nn.functional.one_hot, with an axis as in jax.nn.one_hot.

    Examples
    --------
    >>> import fastml
    >>> fastml.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    >>> fastml.one_hot([0, 5, 1], 2, axis=0, dtype=int, unknown="zeros")
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    return _kernel.one_hot(labels, num_classes, axis, dtype, unknown)
