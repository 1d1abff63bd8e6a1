"""Divergences between distributions and distances between samples, as SciPy and plain NumPy take them."""

import numpy as np

from fastml import metrics, reference

from .common import Case, Setup, assert_close, normal, shape_label


def _kl_scipy(p, q):
    from scipy.special import rel_entr

    return rel_entr(p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)).sum(-1)


def _kl_numpy(p, q):
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    return (p * np.log(p / q)).sum(-1)


def _js_scipy(p, q):
    from scipy.spatial.distance import jensenshannon

    return jensenshannon(p, q, axis=-1) ** 2


def _js_numpy(p, q):
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    m = (p + q) / 2
    return (p * np.log(p / m) + q * np.log(q / m)).sum(-1) / 2


def _entropy_scipy(p, q):
    from scipy.stats import entropy

    return entropy(p, axis=-1)


def _entropy_numpy(p, q):
    p = p / p.sum(-1, keepdims=True)
    return -(p * np.log(p)).sum(-1)


def _variation_numpy(p, q):
    return np.abs(p / p.sum(-1, keepdims=True) - q / q.sum(-1, keepdims=True)).sum(-1) / 2


def _wasserstein_scipy(u, v):
    from scipy.stats import wasserstein_distance

    return wasserstein_distance(u, v)


def _wasserstein_numpy(u, v):
    return np.abs(np.sort(u) - np.sort(v)).mean(dtype=np.float64)


def _energy_scipy(u, v):
    from scipy.stats import energy_distance

    return energy_distance(u, v)


# Of each operation: whether it takes samples, and its peers.
OPS = {
    "kl_divergence": (False, {"scipy": _kl_scipy, "numpy": _kl_numpy}),
    "js_divergence": (False, {"scipy": _js_scipy, "numpy": _js_numpy}),
    "entropy": (False, {"scipy": _entropy_scipy, "numpy": _entropy_numpy}),
    "total_variation": (False, {"numpy": _variation_numpy}),
    "wasserstein_distance": (True, {"scipy": _wasserstein_scipy, "numpy": _wasserstein_numpy}),
    "energy_distance": (True, {"scipy": _energy_scipy}),
}


def _case(name, shape, dtype="float32"):
    samples, peers = OPS[name]

    def setup():
        p, q = normal(shape, dtype), normal(shape, dtype, seed=1)
        if samples:
            q *= 2
            q += 1
        else:
            p, q = np.exp(p), np.exp(q)
        arguments = (p,) if name == "entropy" else (p, q)
        function = getattr(metrics, name)
        builders = {peer: lambda call=call: lambda: call(p, q) for peer, call in peers.items()}
        want = getattr(reference, name)(*arguments)

        def check(result, peer):
            assert_close(np.float64(result), want, dtype, peer)

        return Setup({"fastml": lambda: lambda: function(*arguments), **builders}, check)

    nbytes = (1 if name == "entropy" else 2) * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(name, shape_label(shape), dtype, setup, nbytes=nbytes, peers=tuple(peers))


CASES = [
    *(_case("kl_divergence", shape) for shape in ((128, 10), (1000, 1000), (10**6,))),
    _case("kl_divergence", (10**6,), "float64"),
    *(_case(name, (300, 1000)) for name in ("js_divergence", "entropy", "total_variation")),
    *(_case("wasserstein_distance", (n,)) for n in (10**4, 10**6)),
    _case("wasserstein_distance", (10**6,), "float64"),
    _case("energy_distance", (10**5,), "float64"),
]
