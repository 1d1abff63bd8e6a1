"""Layers beside PyTorch's of the same name."""

import numpy as np
import pytest

from fastml import nn

from .arrays import normal


def assert_layer_as_pytorchs(name, shape, *arguments, **options):
    """Both layers of this name have the same state, by name, results and gradients. Returns both."""
    torch = pytest.importorskip("torch")
    layer = getattr(nn, name)(*arguments, dtype=np.float64, **options)
    theirs = getattr(torch.nn, name)(*arguments, dtype=torch.float64, **options)
    assert list(layer.state_dict()) == list(theirs.state_dict())
    for seed, parameter in enumerate(layer.parameters()):
        parameter.value[...] = normal(parameter.value.shape, np.float64, seed)
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in layer.state_dict().items()})
    x, grad = normal(shape, np.float64, 8), normal(shape, np.float64, 9)
    t = torch.tensor(x, requires_grad=True)
    want = theirs(t)
    want.backward(torch.from_numpy(grad))
    np.testing.assert_allclose(layer(x), want.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.backward(grad), t.grad, rtol=1e-9, atol=1e-12)
    for ours, parameter in zip(layer.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad, parameter.grad, rtol=1e-9, atol=1e-12)
    return layer, theirs
