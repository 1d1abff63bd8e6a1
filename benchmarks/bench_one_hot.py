"""One-hot rows of int64 labels, into a new result as every peer's: 40 MB, 2.4 MB, and a small batch.

PyTorch's own one_hot gives integers: its row is zeros and scatter_, which is faster than casting those.
"""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, sample_rows, to_numpy


def _case(samples, classes, axis=-1):
    def setup():
        labels = np.random.default_rng(0).integers(0, classes, samples)
        shape = (samples, classes) if axis else (classes, samples)

        def fastml_():
            return lambda: fastml.one_hot(labels, classes, axis=axis)

        def torch_():
            import torch

            index = torch.from_numpy(labels).unsqueeze(axis)
            return lambda: torch.zeros(shape).scatter_(axis, index, 1.0)

        def numpy_():
            each = np.arange(samples)
            index = (each, labels) if axis else (labels, each)

            def call():
                y = np.zeros(shape, np.float32)
                y[index] = 1
                return y

            return call

        def jax_():
            import jax

            a = jax.numpy.asarray(labels)
            kernel = jax.jit(lambda a: jax.nn.one_hot(a, classes, axis=axis, dtype="float32"))
            return lambda: kernel(a).block_until_ready()

        def check(result, peer):
            result = to_numpy(result)
            rows = sample_rows(samples)
            expected = reference.one_hot(labels[rows], classes, axis=axis)
            assert_close(result.take(rows, axis=0 if axis else 1), expected, "float32", peer)
            if result.shape != shape or np.count_nonzero(result) != samples:
                raise AssertionError(f"{peer}: {np.count_nonzero(result)} ones in {result.shape}")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    label = f"{samples}×{classes}" + ("" if axis else " axis 0")
    return Case("one_hot", label, "float32", setup, nbytes=4 * samples * classes + 8 * samples)


CASES = [_case(128, 10), _case(60_000, 10), _case(60_000, 10, axis=0), _case(10_000, 1000)]
