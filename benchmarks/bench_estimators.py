"""Fitting an MLPClassifier: fastml, scikit-learn, and the same loop in plain NumPy; Adam, the same batches."""

import itertools
import warnings

import numpy as np

from .common import Case, Setup, normal

# Adam divides by the root of tiny gradients, so what rounding does to them shows in the loss.
TOLERANCE = 2e-3


def _fit_case(n, widths, batch_size, epochs):
    def setup():
        X = normal((n, widths[0]), "float32")
        y = np.argmax(X @ normal((widths[0], widths[-1]), "float32", seed=1), axis=1)
        options = {
            "hidden_layer_sizes": widths[1:-1], "batch_size": batch_size, "max_iter": epochs, "random_state": 0,
            "alpha": 0.0,
        }  # fmt: skip

        def estimator(library):
            def call():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # so few epochs do not converge
                    return library.MLPClassifier(**options).fit(X, y).loss_curve_

            return call

        def fastml_():
            import fastml

            return estimator(fastml)

        def sklearn_():
            import sklearn.neural_network

            return estimator(sklearn.neural_network)

        def numpy_(dtype=np.float32):
            return lambda: _numpy_fit(X.astype(dtype), y, widths, batch_size, epochs)

        def check(result, peer):
            expected = numpy_(np.float64)()
            error = np.max(np.abs(np.array(result) / expected - 1))
            if not error <= TOLERANCE:
                raise AssertionError(f"{peer}: the losses {result} are not {expected}")

        return Setup({"fastml": fastml_, "sklearn": sklearn_, "numpy": numpy_}, check)

    products = sum(a * b for a, b in itertools.pairwise(widths))
    flops = 2 * n * epochs * (3 * products - widths[0] * widths[1])  # no gradient of the input
    label = f"{'-'.join(map(str, widths))}, {n} rows, batch {batch_size}"
    return Case("MLPClassifier.fit", label, "float32", setup, flops=flops, peers=("sklearn", "numpy"))


def _numpy_fit(X, y, widths, batch_size, epochs, lr=1e-3, b1=0.9, b2=0.999):
    """Mean loss of each epoch, from scikit-learn's initial weights and batches."""
    rng = np.random.RandomState(0)
    params = []
    for n_in, n_out in itertools.pairwise(widths):
        bound = np.sqrt(6 / (n_in + n_out))
        params += [rng.uniform(-bound, bound, shape).astype(X.dtype) for shape in ((n_in, n_out), (n_out,))]
    m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    order, losses, t = np.arange(len(X)), [], 0
    for _ in range(epochs):
        mixed = np.arange(len(X))
        rng.shuffle(mixed)
        order = order[mixed]
        total = 0.0
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            a = [X[rows]]
            for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
                a.append(np.maximum(a[-1] @ W + b, 0))
            z = a[-1] @ params[-2] + params[-1]
            z -= z.max(axis=1, keepdims=True)
            p = np.exp(z)
            sums = p.sum(axis=1, keepdims=True)
            labels = y[rows]
            each = np.arange(len(rows))
            total += float((np.log(sums[:, 0]) - z[each, labels]).sum())
            d = p / sums
            d[each, labels] -= 1
            d /= len(rows)
            grads = []
            for i in range(len(a) - 1, -1, -1):
                grads = [a[i].T @ d, d.sum(axis=0), *grads]
                if i:
                    d = (d @ params[2 * i].T) * (a[i] > 0)
            t += 1
            for p, g, m_, v_ in zip(params, grads, m, v, strict=True):
                m_ += (1 - b1) * (g - m_)
                v_ += (1 - b2) * (g * g - v_)
                p -= lr / (1 - b1**t) * m_ / (np.sqrt(v_ / (1 - b2**t)) + 1e-8)
        losses.append(total / len(X))
    return losses


CASES = [_fit_case(1797, (64, 100, 10), 200, 3), _fit_case(20000, (784, 256, 128, 10), 128, 2)]
