"""How exact the reductions are: errors in units in the last place (ulp) of the result by length and magnitude.

    python -m benchmarks.accuracy.reductions [WORD …] [--longest]   # a few minutes; torch, SciPy and
                                                                           # scikit-learn where they are there

Every reduction over rows of 10 to 10 million numbers, with --longest also of 2^28 (float32, 1 GiB), drawn from a normal
distribution of a magnitude, or about a mean a thousand times as large; WORDs choose reductions by parts of their names.
A cell is fastml's largest error and, after the bar, the least of the peers': NumPy's formula in the same precision,
PyTorch, SciPy, scikit-learn, whichever there is. "Exact" is extended precision (64 bits) added pairwise. Where a result
is a difference that nearly cancels, an ulp is that of its terms ("of terms").
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastml
from fastml import metrics, preprocessing

from .exact import (
    EXTENDED,
    cross_entropy,
    energy,
    jensen_shannon,
    log_sum_exp,
    mean,
    quantile,
    relative_entropy,
    shannon,
    total,
    total_variation,
    variance,
    wasserstein,
    wide,
)

LENGTHS = (10, 1000, 100_000, 10_000_000)
LONGEST = 1 << 28
MAGNITUDES = {"1": (1.0, 0.0), "1e-30": (1e-30, 0.0), "1e30": (1e30, 0.0), "mean 1000": (1.0, 1000.0)}
OPTIONAL = {name: importlib.util.find_spec(name) is not None for name in ("torch", "scipy", "sklearn")}


@dataclass(frozen=True)
class Reduction:
    """One reduction: the arrays that are drawn, fastml's way, the peers' and the exact one.

    All ways return an array or a number. ``magnitudes`` are those that make sense; ``terms`` is the size of the terms
    whose ulp counts.
    """

    name: str
    draw: Callable[..., tuple]
    ours: Callable[..., Any]
    exact: Callable[..., Any]
    peers: dict[str, Callable[..., Any]]
    magnitudes: tuple[str, ...] = tuple(MAGNITUDES)
    terms: Callable[..., Any] | None = None
    longest: bool = True  # of 2^28: whole arrays of results, sorts and columns need more memory than 24 GB
    shortest: int = 10
    dtypes: tuple[type, ...] = (np.float32, np.float64)


def column(x: np.ndarray) -> np.ndarray:
    return x[:, None]


def one(draw: np.ndarray) -> tuple:
    return (draw,)


def two(draw: np.ndarray) -> tuple:
    return draw, np.roll(draw, 1) + draw[::-1]


def positive(draw: np.ndarray) -> tuple:
    """Two distributions, not normalised, in which no number is 0."""
    least = np.abs(draw).max() * draw.dtype.type(1e-9)
    return tuple(np.maximum(np.abs(x), least) for x in (draw, np.roll(draw, 1) + draw[::-1]))


def classes(draw: np.ndarray) -> tuple:
    """Labels 0 to 4, and others that are mostly the same."""
    own = (np.abs(draw) * 1000).astype(np.int64) % 5
    return own, np.where(draw > 1, (own + 1) % 5, own)


def side_by_side(x: np.ndarray) -> np.ndarray:
    """As a column, beside another one."""
    return np.stack((x, -x), axis=1)


def logits(draw: np.ndarray) -> tuple:
    """Some 10 classes, and labels."""
    x = np.ascontiguousarray(draw[: len(draw) // 10 * 10].reshape(-1, 10))
    return x, np.arange(len(x)) % 10


# ---- the peers


def torch_of(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arrays: np.ndarray) -> Any:
        import torch

        with torch.no_grad():
            return np.asarray(function(torch, *(torch.from_numpy(a) for a in arrays)))

    return call


def torch_loss(name: str) -> Callable[..., Any]:
    return torch_of(lambda torch, *arrays: getattr(torch.nn.functional, name)(*arrays))


def torch_layer_norm(which: int) -> Callable[..., Any]:
    return torch_of(lambda torch, x: torch.native_layer_norm(x, (len(x),), None, None, 0.0)[which][0])


def torch_group_norm(which: int) -> Callable[..., Any]:
    return torch_of(
        lambda torch, x: torch.native_group_norm(x.reshape(1, 2, -1), None, None, 1, 2, len(x) // 2, 1, 0.0)[which][0]
    )


def torch_batch_norm(which: int) -> Callable[..., Any]:
    return torch_of(
        lambda torch, x: torch.native_batch_norm(x[:, None], None, None, None, None, True, 0.1, 0.0)[which][0]
    )


def torch_clip(x: np.ndarray) -> Any:
    import torch

    parameter = torch.nn.Parameter(torch.from_numpy(x))
    parameter.grad = torch.from_numpy(x)
    return np.asarray(torch.nn.utils.clip_grad_norm_([parameter], np.inf))


def scipy_of(module: str, name: str, power: int = 1) -> Callable[..., Any]:
    def call(*arrays: np.ndarray) -> Any:
        return getattr(importlib.import_module(f"scipy.{module}"), name)(*arrays) ** power

    return call


def sklearn_scaler(name: str, attribute: str) -> Callable[..., Any]:
    def call(x: np.ndarray) -> Any:
        scaler = getattr(importlib.import_module("sklearn.preprocessing"), name)()
        return getattr(scaler.fit(column(x)), attribute)[0]

    return call


def sklearn_normalized(norm: str) -> Callable[..., Any]:
    def call(x: np.ndarray) -> Any:
        return importlib.import_module("sklearn.preprocessing").normalize(x[None], norm)[0]

    return call


def sklearn_metric(name: str) -> Callable[..., Any]:
    return lambda *arrays: getattr(importlib.import_module("sklearn.metrics"), name)(*arrays)


def scaled(name: str, attribute: str) -> Callable[..., Any]:
    return lambda x: getattr(getattr(preprocessing, name)().fit(column(x)), attribute)[0]


def clip(x: np.ndarray) -> float:
    return fastml.clip_grad_norm([x], np.inf)


SQUARES = ("1", "mean 1000")  # those whose squares are floats
DISTRIBUTIONS = ("1", "1e-30", "1e30")
REDUCTIONS = (
    Reduction("softmax", one, lambda x: fastml.softmax(x), lambda x: np.exp(wide(x) - log_sum_exp(x)),
              {"torch": torch_of(lambda torch, x: torch.softmax(x, 0)), "scipy": scipy_of("special", "softmax")},
              ("1", "mean 1000"), longest=False),
    Reduction("softmax, columns", one, lambda x: fastml.softmax(side_by_side(x), 0)[:, 0],
              lambda x: np.exp(wide(x) - log_sum_exp(x)),
              {"torch": torch_of(lambda torch, x: torch.softmax(torch.stack((x, -x), 1), 0)[:, 0]),
               "scipy": lambda x: scipy_of("special", "softmax")(side_by_side(x), 0)[:, 0]},
              ("1", "mean 1000"), longest=False),
    Reduction("log_softmax", one, lambda x: fastml.log_softmax(x), lambda x: wide(x) - log_sum_exp(x),
              {"torch": torch_of(lambda torch, x: torch.log_softmax(x, 0)),
               "scipy": scipy_of("special", "log_softmax")}, ("1", "mean 1000"), longest=False),
    Reduction("log_softmax, columns", one, lambda x: fastml.log_softmax(side_by_side(x), 0)[:, 0],
              lambda x: wide(x) - log_sum_exp(x),
              {"torch": torch_of(lambda torch, x: torch.log_softmax(torch.stack((x, -x), 1), 0)[:, 0]),
               "scipy": lambda x: scipy_of("special", "log_softmax")(side_by_side(x), 0)[:, 0]},
              ("1", "mean 1000"), longest=False),
    Reduction("logsumexp, columns", one, lambda x: fastml.logsumexp(side_by_side(x), 0)[0], log_sum_exp,
              {"torch": torch_of(lambda torch, x: torch.logsumexp(torch.stack((x, -x), 1), 0)[0])},
              ("1", "mean 1000"), terms=lambda x: np.abs(x).max(), longest=False),
    Reduction("logsumexp", one, lambda x: fastml.logsumexp(x), log_sum_exp,
              {"torch": torch_of(lambda torch, x: torch.logsumexp(x, 0))}, ("1", "mean 1000"),
              terms=lambda x: np.abs(x).max()),
    Reduction("cross_entropy", logits, fastml.cross_entropy, cross_entropy, {"torch": torch_loss("cross_entropy")},
              ("1", "mean 1000"), shortest=100),
    Reduction("nll_loss", logits, fastml.nll_loss,
              lambda x, t: -mean(lambda v: v, x[np.arange(len(x)), t]), {"torch": torch_loss("nll_loss")}, shortest=100,
              terms=lambda x, t: np.abs(x).mean()),
    Reduction("mse_loss", two, fastml.mse_loss, lambda x, t: mean(lambda u, v: (u - v) ** 2, x, t),
              {"torch": torch_loss("mse_loss"), "numpy": lambda x, t: np.square(x - t).mean()}, SQUARES),
    Reduction("l1_loss", two, fastml.l1_loss, lambda x, t: mean(lambda u, v: np.abs(u - v), x, t),
              {"torch": torch_loss("l1_loss"), "numpy": lambda x, t: np.abs(x - t).mean()}),
    Reduction("huber_loss", two, fastml.huber_loss,
              lambda x, t: mean(lambda u, v: np.where(np.abs(u - v) < 1, (u - v) ** 2 / 2, np.abs(u - v) - 0.5), x, t),
              {"torch": torch_loss("huber_loss")}, ("1", "1e30", "mean 1000")),
    Reduction("log_cosh_loss", two, fastml.log_cosh_loss,
              lambda x, t: mean(lambda u, v: np.where(np.abs(u - v) < 1, np.log1p(2 * np.sinh((u - v) / 2) ** 2),
                                                      np.logaddexp(u - v, v - u) - np.log(u.dtype.type(2))), x, t),
              {}, ("1", "1e30", "mean 1000")),
    Reduction("binary_cross_entropy_with_logits", lambda d: (d, np.abs(np.sin(d))),
              fastml.binary_cross_entropy_with_logits,
              lambda x, t: mean(lambda u, v: (1 - v) * np.maximum(u, 0) - v * np.minimum(u, 0)
                                + np.log1p(np.exp(-np.abs(u))), x, t),
              {"torch": torch_loss("binary_cross_entropy_with_logits")}, ("1", "1e30", "mean 1000")),
    Reduction("kl_div_loss", lambda d: (d, np.abs(np.sin(d)) + 0.1), fastml.kl_div_loss,
              lambda x, t: mean(lambda u, v: v * (np.log(v) - u), x, t), {"torch": torch_loss("kl_div")},
              ("1", "1e30", "mean 1000"), terms=lambda x, t: np.abs(x).mean()),
    Reduction("layer_norm, mean", one, lambda x: fastml.layer_norm(x, eps=0.0)[1][0], lambda x: mean(lambda v: v, x),
              {"torch": torch_layer_norm(1), "numpy": np.mean}, terms=lambda x: np.abs(x).mean()),
    Reduction("layer_norm, inv_std", one, lambda x: fastml.layer_norm(x, eps=0.0)[2][0],
              lambda x: 1 / np.sqrt(variance(x)), {"torch": torch_layer_norm(2), "numpy": lambda x: 1 / np.std(x)}),
    Reduction("rms_norm, inv_rms", one, lambda x: fastml.rms_norm(x, eps=0.0)[1][0],
              lambda x: 1 / np.sqrt(mean(np.square, x)), {"numpy": lambda x: 1 / np.sqrt(np.mean(x * x))}),
    Reduction("group_norm, mean", one, lambda x: fastml.group_norm(x.reshape(1, 2, -1), 1, eps=0.0)[1][0],
              lambda x: mean(lambda v: v, x), {"torch": torch_group_norm(1), "numpy": np.mean},
              terms=lambda x: np.abs(x).mean()),
    Reduction("group_norm, inv_std", one, lambda x: fastml.group_norm(x.reshape(1, 2, -1), 1, eps=0.0)[2][0],
              lambda x: 1 / np.sqrt(variance(x)), {"torch": torch_group_norm(2), "numpy": lambda x: 1 / np.std(x)}),
    Reduction("instance_norm, mean", one, lambda x: fastml.instance_norm(x[None, None], eps=0.0)[1].ravel(),
              lambda x: mean(lambda v: v, x), {"numpy": np.mean}, terms=lambda x: np.abs(x).mean()),
    Reduction("instance_norm, inv_std", one, lambda x: fastml.instance_norm(x[None, None], eps=0.0)[2].ravel(),
              lambda x: 1 / np.sqrt(variance(x)), {"numpy": lambda x: 1 / np.std(x)}),
    Reduction("batch_norm, mean", one, lambda x: fastml.batch_norm(column(x), eps=0.0)[1][0],
              lambda x: mean(lambda v: v, x), {"torch": torch_batch_norm(1), "numpy": np.mean},
              terms=lambda x: np.abs(x).mean()),
    Reduction("batch_norm, inv_std", one, lambda x: fastml.batch_norm(column(x), eps=0.0)[2][0],
              lambda x: 1 / np.sqrt(variance(x)), {"torch": torch_batch_norm(2), "numpy": lambda x: 1 / np.std(x)}),
    Reduction("batch_norm_stats, m2", one, lambda x: fastml.batch_norm_stats(column(x).astype(np.float64))[2][0],
              lambda x: variance(x) * len(x),
              {"numpy": lambda x: np.var(x.astype(np.float64)) * len(x)}, dtypes=(np.float64,)),
    Reduction("batch_norm_backward, dweight", two,
              lambda g, x: fastml.batch_norm_backward(column(g), column(x), None, *(np.ones(1, x.dtype),) * 2)[1][0],
              lambda g, x: total(lambda u, v: u * (v - 1), g, x),
              {"torch": torch_of(lambda torch, g, x: torch.ops.aten.native_batch_norm_backward(
                  g[:, None], x[:, None], None, None, None, *(torch.ones(1, dtype=x.dtype),) * 2, True, 0.0,
                  [True, True, True])[1][0]), "numpy": lambda g, x: np.sum(g * (x - 1))}, SQUARES,
              terms=lambda g, x: np.abs(g * (x - 1)).sum()),
    Reduction("clip_grad_norm", one, clip, lambda x: np.sqrt(total(np.square, x)),
              {"torch": torch_clip, "numpy": np.linalg.norm}),
    Reduction("Normalizer, l2", one, lambda x: preprocessing.Normalizer().transform(x[None])[0],
              lambda x: wide(x) / np.sqrt(total(np.square, x)), {"sklearn": sklearn_normalized("l2")}, SQUARES,
              longest=False),
    Reduction("Normalizer, l1", one, lambda x: preprocessing.Normalizer("l1").transform(x[None])[0],
              lambda x: wide(x) / total(np.abs, x), {"sklearn": sklearn_normalized("l1")}, SQUARES,
              longest=False),
    Reduction("StandardScaler, mean_", one, scaled("StandardScaler", "mean_"), lambda x: mean(lambda v: v, x),
              {"sklearn": sklearn_scaler("StandardScaler", "mean_")}, terms=lambda x: np.abs(x).mean()),
    Reduction("StandardScaler, var_", one, scaled("StandardScaler", "var_"), variance,
              {"sklearn": sklearn_scaler("StandardScaler", "var_")}),
    Reduction("MinMaxScaler, data_range_", one, scaled("MinMaxScaler", "data_range_"),
              lambda x: wide(x.max()) - wide(x.min()), {"sklearn": sklearn_scaler("MinMaxScaler", "data_range_")}),
    Reduction("MinMaxScaler, min_", one, scaled("MinMaxScaler", "min_"),
              lambda x: -wide(x.min()) / (wide(x.max()) - wide(x.min())),
              {"sklearn": sklearn_scaler("MinMaxScaler", "min_")}, ("1", "1e30", "mean 1000")),
    Reduction("MaxAbsScaler, max_abs_", one, scaled("MaxAbsScaler", "max_abs_"), lambda x: wide(np.abs(x).max()),
              {"sklearn": sklearn_scaler("MaxAbsScaler", "max_abs_")}),
    Reduction("RobustScaler, center_", one, scaled("RobustScaler", "center_"), lambda x: quantile(x, 2),
              {"sklearn": sklearn_scaler("RobustScaler", "center_")}, terms=lambda x: np.abs(x).mean(), longest=False),
    Reduction("RobustScaler, scale_", one, scaled("RobustScaler", "scale_"),
              lambda x: quantile(x, 3) - quantile(x, 1), {"sklearn": sklearn_scaler("RobustScaler", "scale_")},
              ("1", "1e30", "mean 1000"), terms=lambda x: np.abs(x).mean(), longest=False),
    Reduction("confusion_matrix", classes, metrics.confusion_matrix,
              lambda t, p: wide(np.bincount(5 * t + p, minlength=25).reshape(5, 5)),
              {"sklearn": sklearn_metric("confusion_matrix")}, ("1",),
              dtypes=(np.float64,), shortest=1000),
    Reduction("accuracy_score", classes, metrics.accuracy_score,
              lambda t, p: EXTENDED(np.count_nonzero(t == p)) / len(t),
              {"sklearn": sklearn_metric("accuracy_score")}, ("1",),
              dtypes=(np.float64,)),
    Reduction("entropy", positive, lambda p, _: metrics.entropy(p), shannon,
              {"scipy": lambda p, _: scipy_of("stats", "entropy")(p)}, DISTRIBUTIONS),
    Reduction("kl_divergence", positive, metrics.kl_divergence, relative_entropy,
              {"scipy": scipy_of("stats", "entropy")}, DISTRIBUTIONS, terms=lambda *_: 1.0),
    Reduction("js_divergence", positive, metrics.js_divergence, jensen_shannon,
              {"scipy": scipy_of("spatial.distance", "jensenshannon", 2)}, DISTRIBUTIONS),
    Reduction("total_variation", positive, metrics.total_variation, total_variation,
              {"numpy": lambda p, q: np.abs(p / p.sum() - q / q.sum()).sum() / 2}, DISTRIBUTIONS),
    Reduction("wasserstein_distance", two, metrics.wasserstein_distance, wasserstein,
              {"scipy": scipy_of("stats", "wasserstein_distance")}, dtypes=(np.float64,)),
    Reduction("energy_distance", two, metrics.energy_distance, energy,
              {"scipy": scipy_of("stats", "energy_distance")}, dtypes=(np.float64,)),
    Reduction("log_loss", lambda d: (np.arange(len(d)) % 2, 1 / (1 + np.exp(-np.clip(d, -5, 5)))), metrics.log_loss,
              lambda y, p: -mean(lambda t, v: np.log(np.where(t == 1, v, 1 - v)), y, p),
              {"sklearn": sklearn_metric("log_loss")}, ("1",),
              dtypes=(np.float64,)),
)  # fmt: skip


def ulps(got: Any, exact: Any, dtype: type, terms: Any) -> float:
    size = np.maximum(np.abs(exact), 0 if terms is None else terms).astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(np.asarray(got).astype(EXTENDED) - exact) / np.spacing(size)
    return float(np.max(np.where(np.isnan(error), np.inf, error)))


def measure(reduction: Reduction, dtype: type, magnitude: str, n: int) -> str:
    """The errors of one cell: fastml's | the best peer's."""
    scale, center = MAGNITUDES[magnitude]
    ours, theirs = 0.0, dict.fromkeys(reduction.peers, 0.0)
    for seed in range(20 if n <= 1000 else 3 if n <= 100_000 else 1):
        draw = np.random.default_rng(seed).standard_normal(n, dtype=np.float32).astype(dtype, copy=False)
        draw *= dtype(scale)
        draw += dtype(center)
        arrays = reduction.draw(draw)
        exact = reduction.exact(*arrays)
        terms = None if reduction.terms is None else reduction.terms(*arrays)
        own = np.asarray(reduction.ours(*arrays))
        kind = dtype if own.dtype == dtype else np.float64
        ours = max(ours, ulps(own, exact, kind, terms))
        for name, peer in reduction.peers.items():
            if OPTIONAL.get(name, True):
                theirs[name] = max(theirs[name], ulps(peer(*arrays), exact, kind, terms))
    found = [error for name, error in theirs.items() if OPTIONAL.get(name, True)]
    mark = r" \*" if found and ours > min(found) + 1 else ""
    return f"{figure(ours)} \\| {figure(min(found)) if found else '–'}{mark}"


def figure(error: float) -> str:
    return f"{error:.1f}" if error < 100 else f"{error:.0f}" if error < 1e4 else f"{error:.0e}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of the names of the reductions to measure")
    parser.add_argument("--longest", action="store_true", help="also rows of 2^28 float32")
    options = parser.parse_args(arguments)
    lengths = [*LENGTHS, *([LONGEST] if options.longest else [])]
    warnings.simplefilter("ignore")
    print("| reduction | dtype | magnitude |", *(f"{n:,} |" for n in lengths))
    print("| :-- | :-- | :-- |", *("--: |" for _ in lengths))
    for reduction in REDUCTIONS:
        if options.words and not any(word in reduction.name for word in options.words):
            continue
        for dtype in reduction.dtypes:
            for magnitude in reduction.magnitudes:
                cells = []
                for n in lengths:
                    skip = n < reduction.shortest or (
                        n == LONGEST and not (reduction.longest and dtype is np.float32 and magnitude == "1")
                    )
                    cells.append("" if skip else measure(reduction, dtype, magnitude, n))
                row = f"| {reduction.name} | {dtype.__name__} | {magnitude} |"
                print(row, *(f"{cell} |" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
