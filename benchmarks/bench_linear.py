"""Linear layers of the MLP 784-256-128-10 at batch 128, and the eight matrix products of its training step.

The products are forward x Wᵀ for three layers, dW = dZᵀ X for three and dX = dZ W for two. Each is timed on its own
and all in a row ("8 products"), and so are two square ones: on one thread and on the run's number of threads, against
np.matmul with out=. The first layer is also timed for a single row.
"""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, shape_label

BATCH, SIZES = 128, ((784, 256), (256, 128), (128, 10))


def _forward_case(n, m, dtype="float32", activation=None, batch=BATCH):
    def setup():
        x = normal((batch, n), dtype)
        weight, bias = normal((m, n), dtype, seed=1, scale=n**-0.5), normal((m,), dtype, seed=2)

        def fastml_():
            out = np.empty((batch, m), dtype)
            return lambda: fastml.linear(x, weight, bias, activation=activation, out=out)

        def torch_():
            import torch

            t, wt, b = torch.from_numpy(x), torch.from_numpy(weight).t(), torch.from_numpy(bias)
            out = torch.empty((batch, m), dtype=t.dtype)
            if activation == "relu":
                return lambda: torch.addmm(b, t, wt, out=out).relu_()
            return lambda: torch.addmm(b, t, wt, out=out)

        def numpy_():
            out = np.empty((batch, m), dtype)

            def call():
                np.matmul(x, weight.T, out=out)
                np.add(out, bias, out=out)
                return np.maximum(out, 0, out=out) if activation == "relu" else out

            return call

        def jax_():
            import jax

            arrays = [jax.numpy.asarray(a) for a in (x, weight, bias)]
            last = jax.nn.relu if activation == "relu" else lambda y: y
            kernel = jax.jit(lambda x, w, b: last(x @ w.T + b))
            return lambda: kernel(*arrays).block_until_ready()

        expected = reference.linear(
            x.astype("float64"), weight.astype("float64"), bias.astype("float64"), activation=activation
        )

        def check(result, peer):
            assert_close(result, expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    op = "linear" if activation is None else f"linear_{activation}"
    return Case(op, shape_label((batch, n, m)), dtype, setup, flops=2 * batch * n * m)


def _backward_case(n, m, dtype="float32"):
    def setup():
        grad, x = normal((BATCH, m), dtype), normal((BATCH, n), dtype, seed=1)
        weight = normal((m, n), dtype, seed=2, scale=n**-0.5)

        def fastml_():
            return lambda: fastml.linear_backward(grad, x, weight)

        def torch_():
            import torch

            g, t, w = map(torch.from_numpy, (grad, x, weight))
            dx, dw, db = torch.empty_like(t), torch.empty_like(w), torch.empty(m, dtype=t.dtype)

            def call():
                torch.matmul(g, w, out=dx)
                torch.matmul(g.t(), t, out=dw)
                torch.sum(g, 0, out=db)
                return dx, dw, db

            return call

        def numpy_():
            dx, dw, db = np.empty_like(x), np.empty_like(weight), np.empty(m, dtype)

            def call():
                np.matmul(grad, weight, out=dx)
                np.matmul(grad.T, x, out=dw)
                np.sum(grad, 0, out=db)
                return dx, dw, db

            return call

        def jax_():
            import jax

            arrays = [jax.numpy.asarray(a) for a in (grad, x, weight)]
            kernel = jax.jit(lambda g, x, w: (g @ w, g.T @ x, g.sum(0)))
            return lambda: jax.block_until_ready(kernel(*arrays))

        expected = reference.linear_backward(*(a.astype("float64") for a in (grad, x, weight)))

        def check(result, peer):
            for name, got, want in zip(("dx", "dweight", "dbias"), result, expected, strict=True):
                assert_close(got, want, dtype, f"{peer} {name}")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    return Case("linear_backward", shape_label((BATCH, n, m)), dtype, setup, flops=4 * BATCH * n * m)


def _products():
    """(name, a, b) of the eight products a @ b, transposed operands as the views a step has."""
    rows = []
    for n, m in SIZES:
        x, w, dz = (BATCH, n), (m, n), (BATCH, m)
        rows.append((f"x·Wᵀ {BATCH}×{n}×{m}", x, w, "forward"))
        rows.append((f"dZᵀ·X {m}×{BATCH}×{n}", dz, x, "dw"))
        if n != SIZES[0][0]:
            rows.append((f"dZ·W {BATCH}×{m}×{n}", dz, w, "dx"))
    return rows


def _square(n):
    return (f"A·B {n}×{n}×{n}", (n, n), (n, n), "square")


def _product_case(label, products, threads, dtype="float32"):
    def setup():
        pairs = []
        for i, (_, first, second, kind) in enumerate(products):
            a, b = normal(first, dtype, seed=2 * i), normal(second, dtype, seed=2 * i + 1)
            pairs.append((a.T if kind == "dw" else a, b.T if kind == "forward" else b))

        def outputs():
            return [np.empty((a.shape[0], b.shape[1]), dtype) for a, b in pairs]

        def fastml_():
            work = [(a, b.T, out) for (a, b), out in zip(pairs, outputs(), strict=True)]
            return lambda: [fastml.linear(a, bt, out=out) for a, bt, out in work]

        def torch_():
            import torch

            work = [
                (torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out))
                for (a, b), out in zip(pairs, outputs(), strict=True)
            ]
            return lambda: [torch.matmul(a, b, out=out) for a, b, out in work]

        def numpy_():
            work = [(a, b, out) for (a, b), out in zip(pairs, outputs(), strict=True)]
            return lambda: [np.matmul(a, b, out=out) for a, b, out in work]

        expected = [a.astype("float64") @ b.astype("float64") for a, b in pairs]

        def check(result, peer):
            for product, got, want in zip(products, result, expected, strict=True):
                assert_close(got, want, dtype, f"{peer} {product[0]}")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, check)

    flops = sum(2 * a[0] * a[1] * (b[0] if kind == "forward" else b[1]) for _, a, b, kind in products)
    if threads == 1:
        label += ", 1 thread"
    return Case("gemm", label, dtype, setup, flops=flops, threads=threads, peers=("torch", "numpy"))


CASES = [
    *(_forward_case(n, m) for n, m in SIZES),
    _forward_case(784, 256, activation="relu"),
    _forward_case(256, 128, dtype="float64"),
    _forward_case(784, 256, batch=1),
    *(_backward_case(n, m) for n, m in SIZES),
    *(
        case
        for threads in (1, None)
        for case in (
            *(_product_case(p[0], [p], threads) for p in (*_products(), _square(512), _square(1024))),
            _product_case("8 products", _products(), threads),
        )
    ),
]
