from typing import Literal, overload

from numpy.typing import NDArray

from .._choices import Activation
from .._typing import F, Floats, Reals

@overload
def linear(
    x: NDArray[F],
    weight: NDArray[F],
    bias: Reals | None = None,
    *,
    activation: Activation | None = None,
    out: NDArray[F] | None = None,
) -> NDArray[F]: ...
@overload
def linear(
    x: Reals,
    weight: Reals,
    bias: Reals | None = None,
    *,
    activation: Activation | None = None,
    out: Floats | None = None,
) -> Floats: ...
@overload
def linear_backward(
    grad: NDArray[F], x: NDArray[F], weight: NDArray[F], *, input_grad: Literal[True] = True
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def linear_backward(
    grad: NDArray[F], x: NDArray[F], weight: NDArray[F], *, input_grad: Literal[False]
) -> tuple[None, NDArray[F], NDArray[F]]: ...
@overload
def linear_backward(
    grad: Reals, x: Reals, weight: Reals, *, input_grad: Literal[True] = True
) -> tuple[Floats, Floats, Floats]: ...
@overload
def linear_backward(
    grad: Reals, x: Reals, weight: Reals, *, input_grad: Literal[False]
) -> tuple[None, Floats, Floats]: ...
@overload
def linear_backward(
    grad: Reals, x: Reals, weight: Reals, *, input_grad: bool
) -> tuple[Floats | None, Floats, Floats]: ...
