"""Hostile arguments: every public callable takes them or says which argument is wrong, and has written nothing then."""

import inspect
import re
import warnings

import numpy as np
import pytest

from fastml import _openmp

from .arrays import normal
from .calls import CALLABLES, CALLS, EXAMPLES, parameters_of


@pytest.fixture(autouse=True)
def number_of_threads():
    """Leave the number of threads as it was: a call of set_num_threads is among those that are tried."""
    before = _openmp.chosen_threads()
    yield
    _openmp.set_threads(before)


class Lying:
    """An object whose __array__ gives no array."""

    def __array__(self, dtype=None, copy=None):
        return [1.0, 2.0]


class Failing:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array today")


class Bare:
    """Nothing that any argument could be."""


HOSTILE = {
    "None": None,
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "0": 0,
    "0.5": 0.5,
    "2**63": 2**63,
    "2**64": 2**64,
    "-2**63 - 1": -(2**63) - 1,
    "True": True,
    "text": "nonsense",
    "bytes": b"nonsense",
    "object": Bare(),
    "type": Bare,
    "dict": {"a": 1},
    "set": {1},
    "1j": 1j,
    "tuple": (),
    "ragged": [[1, 2], [3]],
    "list of None": [None],
    "list of texts": ["a", "b"],
    "numbers": np.array([1, 2]),
    "complex": np.ones((6, 4), complex),
    "objects": np.array([None, object()]),
    "texts": np.array([["a"] * 4] * 6),
    "datetimes": np.zeros((6, 4), "M8[s]"),
    "structured": np.zeros(6, [("a", "f4")]),
    "masked": np.ma.masked_equal(np.arange(24.0).reshape(6, 4), 3),
    "lying": Lying(),
    "failing": Failing(),
    "empty": np.zeros(0, np.float32),
    "no columns": np.zeros((6, 0), np.float32),
    "0-d": np.float32(1),
    "0-d array": np.array(2.0),
    "other shape": normal((5, 3)),
    "three axes": normal((2, 3, 4)),
    "integers": np.arange(24).reshape(6, 4),
    "not finite": np.full((6, 4), np.nan, np.float32),
}


def arrays_of(value, seen=None):
    """All arrays in an argument: of lists, of parameters, of models and their optimizers."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from arrays_of(v, seen)
    elif type(value).__module__.startswith("fastml."):
        slots = [getattr(value, name, None) for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        yield from arrays_of([*slots, *getattr(value, "__dict__", {}).values()], seen)


def try_call(call, parameter, value):
    """None, or what is wrong with how the call takes the value."""
    args = call.make()
    if parameters_of(call.function)[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
        value = [value]
    args[parameter] = value
    held = list(arrays_of(list(args.values())))
    before = [a.copy() for a in held]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            call.run(args)
            return None
        except (ValueError, TypeError, IndexError) as caught:
            error = caught
        except OSError as caught:
            return None if parameter in ("path", "folder") else f"{type(caught).__name__}: {caught}"
        except Exception as caught:  # noqa: BLE001 - which one it is, is what is asked
            return f"{type(caught).__name__}: {str(caught)[:150]}"
    # What is of the right kind may be at odds with another argument: the error may name that one.
    named = [parameter] if isinstance(error, TypeError) else [*parameters_of(call.function), *call.also]
    if not any(re.search(rf"\b{name}\b", str(error)) for name in named):
        return f"{type(error).__name__} without its name: {str(error)[:150]}"
    for a, b in zip(held, before, strict=True):
        if a.tobytes() != b.tobytes():
            return f"{type(error).__name__}, and an array was written: {str(error)[:100]}"
    return None


def test_every_public_callable_has_a_valid_call():
    assert sorted(set(CALLABLES) - set(EXAMPLES)) == []
    assert sorted(set(EXAMPLES) - set(CALLABLES)) == []


@pytest.mark.parametrize("name", CALLS)
def test_the_valid_call_is_valid(name):
    call = CALLS[name]
    if name == "fastml.data.load_mnist":
        pytest.skip("needs the files")
    call.run(call.make())


@pytest.mark.parametrize("name", [name for name in CALLS if parameters_of(CALLS[name].function)])
def test_hostile_arguments(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # "nonsense" is a path
    call = CALLS[name]
    faults = {}
    for parameter in parameters_of(call.function):
        for label, value in HOSTILE.items():
            if fault := try_call(call, parameter, value):
                faults.setdefault(f"{parameter}: {fault}", []).append(label)
    assert not faults, "\n" + "\n".join(f"{key}  <- {', '.join(labels)}" for key, labels in faults.items())
