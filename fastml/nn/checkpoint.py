"""All that training needs in one file: save_checkpoint and load_checkpoint.

The file is a safetensors file, so its arrays are read by whatever reads those. Everything else is one text of JSON in
its metadata, in which an array stands as its name; what JSON cannot tell apart from a list or an object of text keys is
an object of one key, which says what it is. No pickle: to read a file runs nothing of it. A SHA-256 over text and
arrays tells damage, and each part is taken over by its own ``load_state_dict``, the model last, when nothing can fail
any more.
"""

import hashlib
import json
import math
from collections import Counter

import numpy as np

from .. import _check
from .._files import reading
from ..optim.ema import EMA
from .module import Module
from .serialization import read, write

FORMAT, VERSION = "fastml checkpoint", "1"
PARTS = ("optimizer", "schedule", "ema", "scaler", "batches")


def save_checkpoint(path, *, model, optimizer=None, schedule=None, ema=None, scaler=None, batches=None, extra=None):
    """Write all that training needs to go on into one safetensors file.

    Parameters
    ----------
    path : str or path
        The file, which appears whole or not at all: a process that is killed leaves the last one.
    model : Module
        Parameters, buffers and the places of its dropouts in their streams.
    optimizer, schedule, ema, scaler, batches : optional
        Objects of ``fastml.optim`` and what ``data.batches`` returned (inside a pass: its place in it); or any others
        with ``state_dict()`` and ``load_state_dict(state)``.
    extra : optional
        The user's own: None, numbers, text, arrays, and lists, tuples and dicts of them.

    Raises
    ------
    TypeError
        A part without a state; something in ``extra`` or in a state that is none of those, by its place.
    RuntimeError
        Inside ``ema.average_parameters()``, where the parameters are not those of training.
    OSError
        The file cannot be written.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastml import data, nn, optim
    >>> def parts():
    ...     model = nn.Sequential(nn.Linear(4, 8, seed=0), nn.ReLU(), nn.Dropout(0.5, seed=1), nn.Linear(8, 2, seed=2))
    ...     x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
    ...     batches = data.batches(x, np.arange(10) % 2, batch_size=4)
    ...     return {"model": model, "optimizer": optim.Adam(model.parameters()), "batches": batches}
    >>> def train(epochs, model, optimizer, batches):
    ...     step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)
    ...     return [step(x, y) for _ in range(epochs) for x, y in batches]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, first, second = os.path.join(folder, "state.safetensors"), parts(), parts()
    ...     losses = train(2, **first)
    ...     nn.save_checkpoint(path, **first, extra={"losses": losses})
    ...     nn.load_checkpoint(path, **second)["losses"] == losses, train(2, **first) == train(2, **second)
    (True, True)
    """
    parts = _given(model, optimizer, schedule, ema, scaler, batches)
    places = {name: getattr(*place) for name, place in _places(model).items()}
    content = {"model": model.state_dict(), "places": places, "extra": extra}
    content |= {name: part.state_dict() for name, part in parts.items()}
    content["types"] = {name: type(part).__name__ for name, part in parts.items()}
    arrays = {}
    try:
        text = json.dumps(_packed(content, "", arrays), allow_nan=False)
    except RecursionError:
        raise ValueError("extra must not be nested deeper than Python calls can be, or in itself") from None
    about = {"format": FORMAT, "version": VERSION, "content": text, "sha256": _digest(text, arrays)}
    write(arrays, path, about)


def load_checkpoint(path, *, model, optimizer=None, schedule=None, ema=None, scaler=None, batches=None):
    """Take over what :func:`save_checkpoint` wrote, into objects made as those were; returns ``extra``.

    Training goes on to the bit as if it had never stopped, in explicit and in compiled steps (a step that is compiled
    already goes on too). A part that is not given is left in the file.

    Raises OSError where the file cannot be read, and ValueError that names the file and what does not fit: damage, a
    later version, a part that it does not hold, another kind of optimizer, shapes, types, names. Nothing has changed
    then. TypeError, RuntimeError: as for :func:`save_checkpoint`.
    """
    parts = _given(model, optimizer, schedule, ema, scaler, batches)
    content = contents(path)
    with reading(path, "checkpoint that fits"):
        state, places, extra = content["model"], content["places"], content["extra"]
        _check_model(model, state)
        mine = _places(model)
        _check_places(mine, places)
        for name, part in parts.items():
            kind, held = type(part).__name__, content["types"].get(name)
            if held is None:
                raise ValueError(f"it holds no {name}")
            if held != kind:
                raise ValueError(f"its {name} is of the type {held}, not {kind}")
        _load_parts(parts, content)
    model.load_state_dict(state)
    for name, (owner, attribute) in mine.items():
        setattr(owner, attribute, places[name])
    return extra


def _given(model, *parts):
    if not isinstance(model, Module):
        raise TypeError(f"model must be a Module, not {type(model).__name__}")
    given = {name: part for name, part in zip(PARTS, parts, strict=True) if part is not None}
    for name, part in given.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(f"{name} must have a state_dict and a load_state_dict, not be a {type(part).__name__}")
    if isinstance(given.get("ema"), EMA):
        given["ema"].check_free()
    return given


def _places(module, prefix=""):
    """name → (owner, attribute) of all that tells where a module is in a stream of random numbers."""
    found = {prefix + name: (module, name) for name in module.place_names}
    for name, child in module.named_children():
        found |= _places(child, f"{prefix}{name}.")
    return found


# What is checked before anything is taken over


def contents(path):
    """What a checkpoint holds, as it was written; errors as those of :func:`load_checkpoint` over damage."""
    path = _check.path(path)
    with reading(path, "checkpoint that fits"):
        return _content(*read(path))


def _content(arrays, about):
    if about.get("format") != FORMAT:
        raise ValueError("it was not written by save_checkpoint")
    if about.get("version") != VERSION:
        raise ValueError(f"its version is {about.get('version')}, this fastml reads {VERSION}")
    text = about["content"]
    if about.get("sha256") != _digest(text, arrays):
        raise ValueError("it is damaged: its contents are not those of its SHA-256")
    content = _unpacked(json.loads(text), arrays)
    for name in ("model", "places", "types", "extra"):
        content[name]  # or a KeyError, which becomes the reader's
    return content


def _digest(text, arrays):
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _check_model(model, state):
    faults = model.state_faults(state)
    for name, (owner, attribute) in model._state().items():
        dtype = np.asarray(getattr(owner, attribute)).dtype
        if name in state and state[name].dtype != dtype:
            faults.append(f"{name}: {state[name].dtype} instead of {dtype}")
    if faults:
        raise ValueError(f"model: {'; '.join(faults)}")


def _check_places(mine, places):
    for names, word in ((mine.keys() - places.keys(), "missing"), (places.keys() - mine.keys(), "unexpected")):
        if names:
            raise ValueError(f"model: {word}: {', '.join(sorted(names))}")
    for name, place in places.items():
        if type(place) is not int or place < 0:
            raise ValueError(f"model: {name} is {place!r}")


def _load_parts(parts, states):
    """All of them, or none: what has been taken over before one fails is given back.

    The optimizer is the last: it looks at the arrays, which are most of all, before it changes.
    """
    before = {}
    try:
        for name, part in reversed(parts.items()):
            before[name] = part.state_dict()
            part.load_state_dict(states[name])
    except Exception as error:
        for done, state in before.items():
            parts[done].load_state_dict(state)
        raise ValueError(f"{name}: {str(error) or type(error).__name__}") from error


# Objects as JSON


def _packed(value, place, arrays):
    """``value`` in terms of JSON; its arrays go into ``arrays``, under their place in it."""
    kind = type(value)
    _check.refuse_mask(value, place)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, dict):
        word = "counter" if isinstance(value, Counter) else "dict"
        return {word: [[_packed(k, place, arrays), _packed(v, _below(place, k), arrays)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [_packed(item, _below(place, i), arrays) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        name = place.encode("ascii", "backslashreplace").decode()
        while name in arrays:
            name += "'"
        arrays[name] = np.array(value, value.dtype.newbyteorder("="), order="C")
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}
    found = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else repr(kind.__name__)
    raise TypeError(
        f"{place} must be None, a number, text or an array of numbers, or a list, tuple or dict of them, not {found}"
    )


def _below(place, key):
    return f"{place}.{key}" if place else str(key)


def _unpacked(value, arrays):
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((word, held),) = value.items()
    if word in ("dict", "counter"):
        pairs = {_unpacked(k, arrays): _unpacked(v, arrays) for k, v in held}
        return Counter(pairs) if word == "counter" else pairs
    if word == "tuple":
        return tuple(_unpacked(item, arrays) for item in held)
    if word == "float":
        return float(held)
    array = arrays[held]
    return array[()] if word == "scalar" else array
