"""The norm of gradients and its bound, the bound of their elements, and their scale: one array and sixty.

From call to call the bound shrinks by a millionth, so every call scales and the values hardly change.
"""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, shape_label, to_numpy
from .updates import SIXTY, moved, torch_parameters


class _Bound:
    """1 at first."""

    value = 1 + 1e-6

    def __call__(self):
        self.value *= 1 - 1e-6
        return self.value


def _clip_case(shapes, label, dtype="float32"):
    def setup():
        grads = [normal(shape, dtype, seed=i) for i, shape in enumerate(shapes)]
        length = np.sqrt(sum(np.sum(g.astype("float64") ** 2) for g in grads))
        grads = [(g / length).astype(dtype) for g in grads]

        def fastml_():
            g, bound = [a.copy() for a in grads], _Bound()
            return lambda: (fastml.clip_grad_norm(g, bound()), g[-1])

        def torch_():
            import torch

            p = torch_parameters(grads, grads)
            clip, bound = torch.nn.utils.clip_grad_norm_, _Bound()
            return lambda: (clip(p, bound()), p[-1].grad)

        def numpy_():
            g, bound = [a.copy() for a in grads], _Bound()

            def call():
                norm = np.sqrt(sum(np.dot(a.ravel(), a.ravel()) for a in g))
                factor = min(1.0, bound() / (float(norm) + 1e-6))
                for a in g:
                    np.multiply(a, factor, out=a)
                return norm, g[-1]

            return call

        def jax_():
            import jax

            g, bound = [jax.numpy.asarray(a) for a in grads], _Bound()

            def clip(g, bound):
                norm = jax.numpy.sqrt(sum(jax.numpy.vdot(a, a) for a in g))
                return norm, [a * jax.numpy.minimum(1.0, bound / (norm + 1e-6)) for a in g]

            kernel = jax.jit(clip, donate_argnums=0)

            def call():
                nonlocal g
                norm, g = jax.block_until_ready(kernel(g, bound()))
                return norm, g[-1]

            return call

        def check(result, peer):
            expected = [g.astype("float64") for g in grads]
            norm = reference.clip_grad_norm(expected, 1.0)
            # PyTorch adds the squares of 1e7 floats in float32: its norm is off by 3e-4.
            if not abs(float(result[0]) - norm) <= 1e-3 * norm:
                raise AssertionError(f"{peer}: norm {float(result[0])}, expected {norm}")
            assert_close(to_numpy(result[1]), expected[-1], dtype, f"{peer} gradient")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    # Read for the norm, read and write for the scaling.
    return Case("clip_grad_norm", label, dtype, setup, nbytes=moved(shapes, dtype, 3))


def _value_case(shapes, label, dtype="float32"):
    def setup():
        grads = [normal(shape, dtype, seed=i) for i, shape in enumerate(shapes)]

        def fastml_():
            g = [a.copy() for a in grads]

            def call():
                fastml.clip_grad_value(g, 0.5)
                return g[-1]

            return call

        def torch_():
            import torch

            p = torch_parameters(grads, grads)

            def call():
                torch.nn.utils.clip_grad_value_(p, 0.5)
                return p[-1].grad

            return call

        def numpy_():
            g = [a.copy() for a in grads]

            def call():
                for a in g:
                    np.clip(a, -0.5, 0.5, out=a)
                return g[-1]

            return call

        def check(result, peer):
            assert_close(to_numpy(result), np.clip(grads[-1], -0.5, 0.5), dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, check)

    return Case("clip_grad_value", label, dtype, setup, nbytes=moved(shapes, dtype, 2), peers=("torch", "numpy"))


def _unscale_case(shapes, label, dtype="float32"):
    """By 1 + 1e-7, so that the values hardly change."""

    def setup():
        grads = [normal(shape, dtype, seed=i) for i, shape in enumerate(shapes)]

        def fastml_():
            g = [a.copy() for a in grads]
            return lambda: (fastml.unscale_grads(g, 1 + 1e-7), g[-1])

        def torch_():
            import torch

            g = [torch.from_numpy(a.copy()) for a in grads]
            found, inverse = torch.zeros(1), torch.tensor([1 / (1 + 1e-7)], dtype=torch.float32)
            unscale = torch._amp_foreach_non_finite_check_and_unscale_  # what GradScaler.unscale_ calls

            def call():
                unscale(g, found, inverse)
                return not found.item(), g[-1]

            return call

        def numpy_():
            g = [a.copy() for a in grads]

            def call():
                finite = all(np.isfinite(a).all() for a in g)
                for a in g:
                    np.multiply(a, 1 / (1 + 1e-7), out=a)
                return bool(finite), g[-1]

            return call

        def check(result, peer):
            if result[0] is not True:
                raise AssertionError(f"{peer}: {result[0]}")
            assert_close(to_numpy(result[1]), grads[-1], dtype, f"{peer} gradient")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, check)

    return Case("unscale_grads", label, dtype, setup, nbytes=moved(shapes, dtype, 2), peers=("torch", "numpy"))


CASES = [
    *(_clip_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _clip_case(SIXTY, "60 arrays"),
    _clip_case([(10**5,)], "1e5", dtype="float64"),
    *(_value_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _value_case(SIXTY, "60 arrays"),
    *(_unscale_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _unscale_case(SIXTY, "60 arrays"),
]
