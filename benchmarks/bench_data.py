"""A pass of shuffled mini-batches over a data set and its labels: every batch's rows gathered into new arrays.

PyTorch has two ways: its DataLoader over a TensorDataset, as its tutorials write it, which collects samples one by
one (rows named DataLoader), and a hand-written loop over index_select; NumPy's is the loop over fancy indexing.
"""

import numpy as np

from fastml import data

from .common import Case, Setup, to_numpy

DATA_LOADER = "DataLoader"


def _last_of(passes):
    """The call that goes through all batches of a pass."""

    def call():
        for batch in passes:
            last = batch
        return last

    return call


def _loader(tensors, batch_size):
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(*tensors), batch_size=batch_size, shuffle=True)


def _case(n, width, dtype, batch_size, loader="loop"):
    def setup():
        rng = np.random.default_rng(0)
        X = (100 * rng.random((n, width), dtype=np.float32)).astype(dtype)
        y = np.arange(n)  # so that a batch tells which rows it should have

        def fastml_():
            return _last_of(data.batches(X, y, batch_size=batch_size, seed=0))

        def torch_():
            import torch

            tensors = torch.from_numpy(X), torch.from_numpy(y)
            if loader == DATA_LOADER:
                return _last_of(_loader(tensors, batch_size))

            def call():
                order = torch.randperm(n)
                for start in range(0, n, batch_size):
                    rows = order[start : start + batch_size]
                    last = [tensor.index_select(0, rows) for tensor in tensors]
                return last

            return call

        def numpy_():
            generator = np.random.default_rng(0)

            def call():
                order = generator.permutation(n)
                for start in range(0, n, batch_size):
                    rows = order[start : start + batch_size]
                    last = X[rows], y[rows]
                return last

            return call

        def check(result, peer):
            x_batch, rows = map(to_numpy, result)
            size = n % batch_size or batch_size
            if x_batch.shape != (size, width) or len(np.unique(rows)) != size or not np.array_equal(x_batch, X[rows]):
                raise AssertionError(f"{peer}: the last batch has not the rows that it names")

        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_}
        if loader == DATA_LOADER:
            del builders["numpy"]
        return Setup(builders, check)

    nbytes = 2 * n * (width * np.dtype(dtype).itemsize + 8)
    label = f"{n}×{width}, batch {batch_size}" + (f", {DATA_LOADER}" if loader == DATA_LOADER else "")
    peers = ("torch",) if loader == DATA_LOADER else ("torch", "numpy")
    return Case("data.batches", label, dtype, setup, nbytes=nbytes, peers=peers)


CASES = [
    _case(1797, 64, "float32", 32),
    _case(1797, 64, "float32", 32, DATA_LOADER),
    _case(20_000, 784, "uint8", 128),
    _case(60_000, 784, "float32", 256),
    _case(10**6, 20, "float32", 512),
]
