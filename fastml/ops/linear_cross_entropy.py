"""Cross-entropy of a linear map with all gradients, without the logits of all samples."""

from .._kernels import linear_cross_entropy as _kernel


def linear_cross_entropy_with_grad(
    x, weight, target, *, bias=None, class_weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"
):
    r"""Cross-entropy between x Wᵀ + b and the target, and its gradients by x, W and b.

    .. math::

        \ell = \mathrm{CE}(z, t), \quad z = x W^\top + b; \qquad
        dx = \dot z W, \quad dW = \dot z^\top x, \quad db_j = \sum_i \dot z_{ij}, \quad
        \dot z = \partial\ell / \partial z

    as `linear`, `cross_entropy_with_grad` and `linear_backward` give them one after the other. Of the logits z only a
    block of samples is there at a time: 55 MB at most, or one sample's where that is more. From 4097 samples on the
    sums of dW take a second array of its shape. dx and dW have the bits of the three functions in a row, with one
    exception: where the logits of 64 samples are more than 55 MB, and the samples more than one block, the sums of dW
    are cut at other places.

    Parameters
    ----------
    x : array_like, shape (..., features)
        float32 and float64 compute in their own precision, float64 where x or weight is; integers and bool are
        taken as float32.
    weight : array_like, shape (classes, features)
    target : array_like
        Labels: integers 0 ... classes - 1 in the shape of x without its last axis; or class probabilities: floating
        point in the shape (..., classes).
    bias : array_like, shape (classes,), optional
    class_weight : array_like, shape (classes,), optional
        A weight for each class; `weight` of cross_entropy_with_grad.
    ignore_index, label_smoothing, reduction
        As in `cross_entropy`.

    Returns
    -------
    (loss, dx, dweight, dbias) : the loss as `cross_entropy` returns it, and ndarrays of the shapes of x and weight and
    of shape (classes,); dbias also where bias is None. The gradients are those of the reduced loss; with
    reduction="none", of the sum of the losses. Without samples dweight and dbias are 0.

    Raises
    ------
    IndexError
        A label outside 0 ... classes - 1 that is not ignore_index.
    ValueError
        Shapes that do not fit each other, no classes, label_smoothing outside [0, 1], an unknown reduction,
        ignore_index with class probabilities.
    TypeError
        An argument of a kind that is not taken; target of bool, or of floating point in the labels' shape.

    Source: E. Wijmans et al., Cut your losses in large-vocabulary language models, 2024,
    https://arxiv.org/abs/2411.09009, for the memory that the logits take; the blocks are of samples here, not of
    classes.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> weight = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> loss, dx, dweight, dbias = fastml.linear_cross_entropy_with_grad([[2.0, 2.0]], weight, [1])
    >>> float(loss)
    0.6931471805599453
    >>> dx
    array([[ 0.5, -0.5]])
    >>> dweight
    array([[ 1.,  1.],
           [-1., -1.]])
    >>> dbias
    array([ 0.5, -0.5])
    """
    return _kernel.linear_cross_entropy_with_grad(
        x, weight, target, bias, class_weight, ignore_index, label_smoothing, reduction
    )
