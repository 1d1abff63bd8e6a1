"""How exact the products are: errors by the length of the sum, k, for positive, mixed and constant numbers.

    python -m benchmarks.accuracy.products       # half a minute; torch where it is there

A cell is the largest error over the largest element of the result in units of 2^-24 (float32) or 2^-53 (float64), of
fastml, NumPy and PyTorch; "exact" is the product in extended precision. Forward is x Wᵀ with k features, a row the same
for one row of x alone, dweight the gradient with k samples; the results have 8×20, 1×20 and 8×20 elements.
"""

import importlib.util

import numpy as np

import fastml

LENGTHS = (64, 256, 257, 1000, 4096, 20_000, 50_257, 1_000_000)
DATA = {
    "uniform 0 … 1": lambda rng, shape: rng.random(shape),
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "all 0.1": lambda rng, shape: np.full(shape, 0.1),
}
WAYS = ("forward", "a row", "dweight")
TORCH = importlib.util.find_spec("torch") is not None


def error(got, exact, dtype):
    """Largest error in units of half an ulp of the largest element."""
    return float(np.abs(got - exact).max() / np.abs(exact).max() / (np.finfo(dtype).eps / 2))


def errors(draw, k, dtype):
    """(fastml's, NumPy's, PyTorch's) of the forward product, of one row of it and of dweight."""
    rng = np.random.default_rng(k)
    x, w = (draw(rng, (rows, k)).astype(dtype) for rows in (8, 20))
    exact = x.astype(np.longdouble) @ w.T.astype(np.longdouble)
    grad, samples = np.ascontiguousarray(x.T), np.ascontiguousarray(w.T)
    dweight = fastml.linear_backward(grad, samples, np.zeros((8, 20), dtype), input_grad=False)[1]
    row = x[:1].copy()
    found = [(fastml.linear(x, w), fastml.linear(row, w), dweight), (x @ w.T, row @ w.T, grad.T @ samples)]
    if TORCH:
        import torch

        tx, tr, tw, tg, ts = map(torch.from_numpy, (x, row, w, grad, samples))
        found.append(((tx @ tw.T).numpy(), (tr @ tw.T).numpy(), (tg.T @ ts).numpy()))
    wanted = (exact, exact[:1], exact)
    return [[error(got, want, dtype) for got, want in zip(way, wanted, strict=True)] for way in found]


def main():
    names = ["fastml", "NumPy", *(["PyTorch"] if TORCH else [])]
    print(f"| numbers | dtype | k | {' | '.join(f'{way}, {name}' for way in WAYS for name in names)} |")
    print(f"| :-- | :-- | --: |{' --: |' * (len(WAYS) * len(names))}")
    for kind, draw in DATA.items():
        for dtype in (np.float32, np.float64):
            for k in LENGTHS:
                found = errors(draw, k, dtype)
                cells = [f"{library[way]:.1f}" for way in range(len(WAYS)) for library in found]
                print(f"| {kind} | {np.dtype(dtype).name} | {k} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
