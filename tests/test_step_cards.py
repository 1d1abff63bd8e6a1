"""Cards of a compiled step's kernels: the names that a stage must be given, and that they are the struct's own."""

import numpy as np
import pytest
from fastml._kernels.step.arguments import Live

from fastml._kernels.step import elementwise, linear
from fastml._kernels.step.card import CardError, card
from fastml.step import cards
from fastml.step.plan import Plan

from .house import ROOT


@pytest.fixture
def plan():
    return Plan(8, np.float32)


def bits(k):
    """What a member of 64 bits reads from word k of the ruler."""
    return int(np.float64(k + 1).view(np.int64))


def view(k):
    return dict(zip(("data", "row", "cols", "size", "where"), (bits(k + i) for i in range(5)), strict=True))


FIELDS = {"y": view(0), "x": view(5), "factor": 11.0, "count": bits(11)}


def test_a_card_has_the_names_and_kinds_of_its_struct():
    kernel = card(0, "scale", "y = factor x", FIELDS, out="y", later="count", rows="x")
    assert kernel.operands == ("y", "x") and kernel.outs == ("y",) and kernel.ins == ("x",)
    assert kernel.numbers == {"factor": "real", "count": "integer"}
    assert kernel.names == {"y", "x", "factor"} and kernel.cuts == {"rows": ("x",)}


@pytest.mark.parametrize(
    "change, names, text",
    [
        ({}, {"out": "z"}, "scale has no z among y, x"),
        ({}, {"optional": "factor"}, "no factor among y, x"),
        ({}, {"rows": "w"}, "no w among"),
        ({}, {"later": "x"}, "no x among factor, count"),
        ({"count": bits(12)}, {}, "count must lie at word 11, not 12"),
        ({"count": bits(11) >> 32}, {}, "8 bytes"),  # an int
        ({"factor": 1e-300}, {}, "8 bytes"),
        ({"late": view(12)}, {}, "operands must come before numbers, not late"),
    ],
)
def test_a_card_that_contradicts_its_struct_is_refused(change, names, text):
    with pytest.raises(CardError, match=text):
        card(0, "scale", "y = factor x", FIELDS | change, **{"out": "y", **names})


def test_emit_takes_all_names_of_the_card_and_no_others(plan):
    x, y = plan.activation(4), plan.activation(4)
    given = {"dx": y, "dy": x, "y": x, "scale": 1.0}
    plan.emit(elementwise.relu_backward, **given)
    for name, value in given.items():
        less = {other: value for other, value in given.items() if other != name}
        with pytest.raises(TypeError, match=f"relu_backward must be given dx, dy, y, scale, not .*without {name}"):
            plan.emit(elementwise.relu_backward, **less)
        with pytest.raises(TypeError, match=f"without {name} and with {name}s"):
            plan.emit(elementwise.relu_backward, **less, **{f"{name}s": value})
    with pytest.raises(TypeError, match="with gate"):
        plan.emit(elementwise.relu_backward, **given, gate=True)
    assert len(plan.stages) == 1


def test_emit_takes_none_where_the_card_says_so_and_matrices_elsewhere(plan):
    x, y, weight = plan.activation(4), plan.activation(3), plan.vector("weight", 3, 4)
    plan.emit(linear.linear, y=y, x=x, weight=weight, bias=None)
    for name, value in {"x": None, "weight": 1.0, "bias": np.zeros(3)}.items():
        given = {"y": y, "x": x, "weight": weight, "bias": None, name: value}
        with pytest.raises(TypeError, match=f"{name} of linear must be a matrix of the plan, not"):
            plan.emit(linear.linear, **given)


def test_numbers_are_of_their_kind(plan):
    x = plan.activation(4)
    for scale in (None, "1", x):
        with pytest.raises(TypeError):
            plan.emit(elementwise.relu_backward, dx=x, dy=x, y=x, scale=scale)
    live = Live()
    plan.emit(elementwise.dropout, y=x, kept=plan.bits(x), x=x, seed=2**64 - 1, offset=live, threshold=0, scale=1.0)
    with pytest.raises(SystemError, match="scale must be integer as where the Live is already, not real"):
        plan.emit(elementwise.relu_backward, dx=x, dy=x, y=x, scale=live)


def test_every_kernel_is_on_a_card():
    text = cards.cards()
    made = [line for path in (ROOT / "fastml/_kernels/step").glob("*.pyx") for line in path.read_text().splitlines()]
    names = [line.split(" = ")[0] for line in made if " = card(" in line and not line.startswith((" ", "def"))]
    assert len(names) > 30
    for name in names:
        assert f"- `{name}(" in text
    assert "- `linear(x, weight, [bias]; [relu]) → y`" in text
    assert "cut by rows (weight, bias whole) or by columns (x whole)" in text
