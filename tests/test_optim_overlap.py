"""Functions, optimizers and compiled steps refuse arrays that share memory, naming both, before anything is written."""

import re

import numpy as np
import pytest

import fastml
from fastml import nn, optim

from .common import OPS

W = np.arange(9.0).reshape(3, 3)


def states(n):
    return [np.zeros((3, 3)) for _ in range(n)]


UPDATES = [op for op in OPS if op.arrays[:2] == ("params", "grads")]
every_update = pytest.mark.parametrize("op", UPDATES, ids=lambda op: op.id)


@every_update
@pytest.mark.parametrize("count", [0, 50])  # a short list and a long one
def test_a_function_refuses_arrays_that_share_memory(op, count):
    """Each column of lists, and each pair of columns, in its second and third place."""
    columns, arguments = op.arrays, op.make((3, 3), np.float64, 0)
    for i, first in enumerate(columns):
        for second in columns[i:]:
            for view in (lambda a: a, lambda a: a.T, lambda a: a[::-1]):
                if first == "grads" and second == "grads":
                    continue  # both are read
                lists = {name: [*states(2), *states(1), *states(count)] for name in columns}
                if first == second:
                    lists[second][2] = view(lists[first][1])
                else:
                    lists[second][2] = view(lists[first][0])
                if second == "grads" and first == "params":
                    place = "params[0]"
                else:
                    place = f"{first}[{1 if first == second else 0}]"
                before = {name: [a.copy() for a in arrays] for name, arrays in lists.items()}
                with pytest.raises(ValueError) as caught:
                    op.run(arguments | lists)
                said = str(caught.value)
                assert f"{second}[2]" in said and place in said, said
                assert ("twice" in said) == (first == second and view(W) is W), said
                np.testing.assert_equal(lists, before)


def test_what_may_share_memory():
    """One gradient for several parameters, a gradient that is its own parameter, and neighbours in one block."""
    block, g = np.ones(6), np.ones(2)
    parts = [block[:2], block[2:4], block[4:]]
    fastml.sgd_step(parts, [g, g, parts[2]], lr=0.5)
    assert block.tolist() == [0.5] * 6
    many = [np.ones(2) for _ in range(100)]
    fastml.sgd_step(many, [g] * 100, lr=0.5)
    assert all(p.tolist() == [0.5, 0.5] for p in many)
    fastml.sgd_step([np.zeros(0)] * 2, [np.zeros(0)] * 2, lr=0.5)


def test_many_arrays_cost_what_they_are():
    """A list too long for the stack takes the kernel's own check, not the slow one of every single array."""
    import fastml._check as gate

    def slow(*_):
        raise AssertionError("arrange_update")

    many, was = [np.ones(2) for _ in range(300)], gate.arrange_update
    gate.arrange_update = slow
    try:
        fastml.sgd_step(many, [np.ones(2)] * 300, lr=0.5)
    finally:
        gate.arrange_update = was
    assert all(p.tolist() == [0.5, 0.5] for p in many)


@pytest.mark.parametrize("function", [fastml.clip_grad_norm, fastml.clip_grad_value])
def test_clipping_refuses_a_gradient_twice(function):
    g = np.full((2, 2), 3.0)
    for other, text in (
        (g, "grads[1] stands in grads twice: it is grads[0]"),
        (g.T, "grads[1] shares memory with grads[0]"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            function([g, other], 1.0)
    assert (g == 3).all()


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.EMA])
def test_an_object_names_both_places(kind):
    w, options = np.zeros((2, 2)), {} if kind is optim.EMA else {"lr": 0.1}
    for other, text in (
        (w, "params[2] stands in params twice: it is params[0]"),
        (w.T, "params[2] shares memory with params[0]"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            kind([w, np.zeros(3), other], **options)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSprop])
def test_arrays_tied_late_are_refused_by_both_ways_of_training(kind, frozen):
    """One array given to two Parameters after the optimizer was made."""
    first, second = nn.Linear(4, 4, seed=0), nn.Linear(4, 4, seed=1)
    model, loss_fn = nn.Sequential(first, nn.ReLU(), second), nn.CrossEntropyLoss()
    optimizer = kind(model.parameters(), lr=0.1)
    step = nn.compile_step(model, loss_fn, optimizer)
    x, y = np.random.default_rng(0).standard_normal((5, 4)).astype("f4"), np.array([0, 1, 2, 3, 0])
    step(x, y)
    for view in (lambda a: a, lambda a: a.T):
        second.weight.value = view(first.weight.value)
        _, grad = loss_fn(model(x), y)
        model.backward(grad)
        if frozen:
            first.bias.grad = None
        before = model.state_dict()
        with pytest.raises(ValueError, match=r"params\[2\].*params\[0\]"):
            optimizer.step()
        with pytest.raises(ValueError, match=r"2\.weight (shares|must|.*C-contiguous)|compile_step needs 2\.weight"):
            step(x, y)
        np.testing.assert_equal(model.state_dict(), before)
