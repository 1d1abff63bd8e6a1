"""Hostile arguments: every public callable takes them or says which argument is wrong, and has written nothing then."""

import copy
import inspect
import re
import sys
import warnings

import numpy as np
import pytest

from fastml import _openmp

from .arrays import normal
from .calls import CALLABLES, CALLS, EXAMPLES, parameters_of
from .methods import METHODS


@pytest.fixture(autouse=True)
def number_of_threads():
    """Leave the number of threads as it was: a call of set_num_threads is among those that are tried."""
    before = _openmp.chosen_threads()
    yield
    _openmp.set_threads(before)


@pytest.fixture(autouse=True)
def pictures(monkeypatch):
    """Drawn without a display, and closed."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


class Lying:
    """An object whose __array__ gives no array."""

    def __array__(self, dtype=None, copy=None):
        return [1.0, 2.0]


class Failing:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array today")


class Silent:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError


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
    "silent": Silent(),
    "empty": np.zeros(0, np.float32),
    "no columns": np.zeros((6, 0), np.float32),
    "0-d": np.float32(1),
    "0-d array": np.array(2.0),
    "other shape": normal((5, 3)),
    "three axes": normal((2, 3, 4)),
    "integers": np.arange(24).reshape(6, 4),
    "not finite": np.full((6, 4), np.nan, np.float32),
}


#: What a path that is none leads to.
OS_ERRORS = "(FileNotFound|FileExists|Permission|IsADirectory|OS)Error"
#: The ends of types' ranges, and errors shown as Python writes them.
NOT_FOR_USERS = r"between \S+ and (inf|\S{13,})|(Key|Type|Value)Error\(|: $"
SIMPLE = (bool, int, float, str, bytes, type(None))
#: What a layer keeps of its last call, and caches.
KEPT = (
    "_saved",
    "_results",
    "_gradients",
    "_ties",
    "_schedule",
    "_signature",
    "_sample",
    "_parts",
    "_rows",
    "_outside",
)


def facts_of(value, seen=None):
    """All arrays and simple attributes in an argument, of lists, of parameters, of models and their optimizers."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return
    seen[id(value)] = value  # held, so that no other object gets its id
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from facts_of(v, seen)
    elif isinstance(value, dict):
        yield from facts_of(list(value.values()), seen)
    elif type(value).__module__.startswith("fastml."):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        held = {name: getattr(value, name, None) for name in slots} | getattr(value, "__dict__", {})
        held = {name: v for name, v in held.items() if name not in KEPT}
        yield {name: v for name, v in held.items() if isinstance(v, SIMPLE)}
        yield from facts_of(list(held.values()), seen)


def snapshot(value):
    return [fact.tobytes() if isinstance(fact, np.ndarray) else repr(fact) for fact in facts_of(value)]


def fault_of(call, args, names):
    """What is wrong with how a call takes these arguments, or None: it returns, or it raises an error that has one of
    the names, and nothing was written then."""
    before = snapshot(args)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            call.run(args)
            return None
        except (ValueError, TypeError, IndexError) as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - which one it is, is what is asked
            return f"{type(caught).__name__}: {str(caught)[:150]}"
    # What is of the right kind may be at odds with another argument: the error may name that one.
    others = () if isinstance(error, TypeError) else parameters_of(call.function)
    if not any(re.search(rf"\b{name}\b", str(error)) for name in (*names, *others, *call.also)):
        return f"{type(error).__name__} without its name: {str(error)[:150]}"
    if re.search(NOT_FOR_USERS, str(error)):
        return f"{type(error).__name__} of internals: {str(error)[:150]}"
    if snapshot(args) != before:
        return f"{type(error).__name__}, and something was written: {str(error)[:100]}"
    return None


def try_call(call, parameter, value):
    args = call.make()
    if parameters_of(call.function)[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
        value = [value]
    fault = fault_of(call, args | {parameter: value}, [parameter])
    return None if parameter in ("path", "folder") and re.match(OS_ERRORS, fault or "") else fault


def test_every_public_callable_has_a_valid_call():
    assert sorted(set(CALLABLES) - set(EXAMPLES)) == []
    assert sorted(set(EXAMPLES) - set(CALLABLES)) == []


EVERYTHING = CALLS | METHODS


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_valid_call_is_valid(name):
    call = EVERYTHING[name]
    if name == "fastml.data.load_mnist":
        pytest.skip("needs the files")
    call.run(call.make())


@pytest.mark.parametrize("name", [name for name in EVERYTHING if parameters_of(EVERYTHING[name].function)])
def test_hostile_arguments(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # "nonsense" is a path
    call = EVERYTHING[name]
    faults = {}
    for parameter in parameters_of(call.function):
        for label, value in HOSTILE.items():
            if fault := try_call(call, parameter, value):
                faults.setdefault(f"{parameter}: {fault}", []).append(label)
    assert not faults, "\n" + "\n".join(f"{key}  <- {', '.join(labels)}" for key, labels in faults.items())


def places(state, path=()):
    """The paths to all that a state holds."""
    for key, value in state.items() if isinstance(state, dict) else enumerate(state):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def replaced(state, path, value):
    """A copy of the state with another value at the path."""
    if not path:
        return value
    state = copy.copy(state)
    state[path[0]] = replaced(state[path[0]], path[1:], value)
    return state


def halved(state):
    """The state with half of its real numbers: of another object, so that whatever is taken over shows."""
    if type(state) is dict:
        return {key: halved(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(map(halved, state))
    return state / 2 if isinstance(state, float) or getattr(state, "dtype", None) in (np.float32, np.float64) else state


@pytest.mark.parametrize("name", [name for name in METHODS if name.endswith(".load_state_dict")])
def test_hostile_states(name):
    call = METHODS[name]
    args = call.make()
    state = halved(args["state"])
    call.run({**args, "state": state})
    faults = {}
    for path in places(state):
        for label, value in HOSTILE.items():
            args = {**call.make(), "state": replaced(state, path, value)}
            if fault := fault_of(call, args, ["state", *(re.escape(key) for key in path if isinstance(key, str))]):
                faults.setdefault(f"{path}: {fault}", []).append(label)
    assert not faults, "\n" + "\n".join(f"{key}  <- {', '.join(labels)}" for key, labels in faults.items())
