"""Functions of arrays: their types for a type checker, which are true when the file is run."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pytest import raises

import fastml

if TYPE_CHECKING:
    from typing import assert_type
else:
    from .truth import assert_type

single = np.ones((3, 4), np.float32)
double = np.ones((3, 4))
listed = [[1.0, 2.0], [3.0, 4.0]]
labels = np.arange(3)


def test_the_precision_of_the_input_is_that_of_the_result() -> None:
    assert_type(fastml.softmax(single), NDArray[np.float32])
    assert_type(fastml.softmax(double, 0, out=double), NDArray[np.float64])
    assert_type(fastml.softmax(listed), NDArray[np.floating[Any]])
    assert_type(fastml.relu(labels), NDArray[np.floating[Any]])
    assert_type(fastml.gelu_backward(single, single, approximate="tanh"), NDArray[np.float32])
    assert_type(fastml.gelu_backward(single, double), NDArray[np.floating[Any]])
    assert_type(fastml.elu([1, 2.5, True], alpha=0.5), NDArray[np.floating[Any]])

    def of_the_users_own(x: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return fastml.silu(x, out=fastml.tanh(x))

    assert_type(of_the_users_own(single), NDArray[np.floating[Any]])


def test_one_number_or_one_for_each_element() -> None:
    assert_type(fastml.mse_loss(single, single), np.float32)
    assert_type(fastml.mse_loss(single, single, reduction="none"), NDArray[np.float32])
    assert_type(fastml.mse_loss(listed, listed, reduction="sum"), np.floating[Any])
    assert_type(fastml.kl_div_loss(double, double, reduction="batchmean"), np.float64)
    assert_type(fastml.cross_entropy(double, labels), np.float64)
    assert_type(fastml.cross_entropy_with_grad(single, labels), tuple[np.float32, NDArray[np.float32]])
    assert_type(
        fastml.cross_entropy_with_grad(single, labels, reduction="none", out=single),
        tuple[NDArray[np.float32], NDArray[np.float32]],
    )
    assert_type(fastml.nll_loss_with_grad(listed, [0, 1]), tuple[np.floating[Any], NDArray[np.floating[Any]]])
    assert_type(
        fastml.linear_cross_entropy_with_grad(single, single, labels),
        tuple[np.float32, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    )
    assert_type(fastml.logsumexp(single, None), np.float32)
    assert_type(fastml.logsumexp(single, keepdims=True), NDArray[np.float32])
    assert_type(fastml.logsumexp(single), np.float32 | NDArray[np.float32])

    def by_name(reduction: Literal["mean", "none"]) -> np.float32 | NDArray[np.float32]:
        return fastml.l1_loss(single, single, reduction=reduction)

    assert by_name("mean") == 0


def test_several_results() -> None:
    assert_type(fastml.layer_norm(single), tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]])
    assert_type(fastml.rms_norm(double, axis=(-1,)), tuple[NDArray[np.float64], NDArray[np.float64]])
    assert_type(fastml.batch_norm_stats(single), tuple[int, NDArray[np.float64], NDArray[np.float64]])
    assert_type(
        fastml.linear_backward(single, single, np.ones((4, 4), np.float32)),
        tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    )
    assert_type(
        fastml.linear_backward(double, double, np.ones((4, 4)), input_grad=False),
        tuple[None, NDArray[np.float64], NDArray[np.float64]],
    )
    assert_type(fastml.linear(single, single, activation="relu"), NDArray[np.float32])
    assert_type(fastml.dropout(single, 0.5, seed=0), NDArray[np.float32])
    assert_type(fastml.dropout_mask((2, 3), seed=0), NDArray[np.bool_])


def test_the_dtype_that_was_asked_for() -> None:
    assert_type(fastml.one_hot(labels), NDArray[np.float32])
    assert_type(fastml.one_hot(labels, labels.max() + 1), NDArray[np.float32])
    assert_type(fastml.one_hot([0, 1], 3, dtype=np.int8), NDArray[np.int8])
    assert_type(fastml.one_hot(labels, dtype=np.dtype(np.float64), unknown="zeros"), NDArray[np.float64])
    assert_type(fastml.one_hot(labels, dtype="f8"), NDArray[Any])


def test_in_place() -> None:
    fastml.sgd_step([double], [double.copy()], lr=0.1)
    fastml.adam_step((double,), [single], [double.copy()], [double.copy()], 1, betas=(0.9, 0.99))
    assert_type(fastml.clip_grad_norm([single, double], 1.0), float)
    assert_type(fastml.unscale_grads([single], 2.0), bool)

    assert_type(fastml.get_num_threads(), int)
    assert_type(fastml.capi.get_include(), str)
    with fastml.num_threads(1):
        assert fastml.get_num_threads() == 1


def test_the_reference_has_the_same_types() -> None:
    assert_type(fastml.reference.softmax(single), NDArray[np.float32])
    assert_type(fastml.reference.mse_loss(double, double, reduction="none"), NDArray[np.float64])


def test_what_is_refused() -> None:
    with raises(TypeError):
        fastml.softmax("text")  # type: ignore[arg-type]
    with raises(TypeError):
        fastml.softmax(single + 1j)  # type: ignore[type-var]
    with raises(TypeError):
        fastml.softmax(single, axis="rows")  # type: ignore[call-overload]
    with raises(TypeError):
        fastml.softmax(single, -1, single)  # type: ignore[call-overload]
    with raises(ValueError):
        fastml.mse_loss(single, single, reduction="average")  # type: ignore[call-overload]
    with raises(ValueError):
        fastml.mse_loss(single, single, reduction="batchmean")  # type: ignore[call-overload]
    with raises(ValueError):
        fastml.gelu(single, approximate="exact")  # type: ignore[call-overload]
    with raises(ValueError):
        fastml.linear(single, single, activation="swish")  # type: ignore[call-overload]
    with raises(ValueError):
        fastml.one_hot(labels, unknown="ignore")  # type: ignore[call-overload]
    with raises(TypeError):
        fastml.one_hot(double)  # type: ignore[arg-type]
    with raises(TypeError):
        fastml.cross_entropy(single, labels > 1)  # type: ignore[arg-type]
    with raises(TypeError):
        fastml.dropout(single)  # type: ignore[call-overload]
    with raises(TypeError):
        fastml.dropout(single, seed=0.5)  # type: ignore[call-overload]
    with raises(TypeError):
        fastml.sgd_step(single, single, lr=0.1)  # type: ignore[arg-type]
    with raises(TypeError):
        fastml.sgd_step([labels], [labels], lr=0.1)  # type: ignore[list-item]
    with raises(TypeError):
        fastml.clip_grad_norm([single], "1")  # type: ignore[arg-type]
    with raises(TypeError):
        fastml.set_num_threads(1.5)  # type: ignore[arg-type]
    with raises(AttributeError):
        _ = fastml.nothing  # type: ignore[attr-defined]
