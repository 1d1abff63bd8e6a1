"""Models as safetensors files."""

import numpy as np

from .. import _check
from .._files import reading, replacing

KIND = "safetensors file"
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
_CODES = {np.dtype(name): code for code, name in _DTYPES.items()}


def save(model_or_state, path, metadata=None):
    """Write a model's state (or a dict of arrays) as a safetensors file.

    ``metadata``: a dict of strings to strings. The file appears whole or not at all, whoever else writes to ``path``
    at the same time. PyTorch reads it with ``safetensors.torch.load_file``. What an optimizer and the rest of training
    hold goes into a file with :func:`save_checkpoint`.

    Raises TypeError for anything else than a module or a dict of arrays and for metadata that is not
    all strings, OSError where the file cannot be written.

    Source of the format: https://huggingface.co/docs/safetensors.

    >>> from fastml import nn
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     nn.save(nn.Linear(2, 1), path, metadata={"task": "demo"})
    ...     sorted(nn.load(path)), nn.load_metadata(path)
    (['bias', 'weight'], {'task': 'demo'})
    """
    state = model_or_state.state_dict() if hasattr(model_or_state, "state_dict") else model_or_state
    if not isinstance(state, dict):
        raise TypeError(f"model_or_state must be a module or a dict of arrays, not {type(state).__name__}")
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise TypeError("metadata must map strings to strings")
    for name, value in state.items():
        if isinstance(value, (dict, list, tuple)):
            raise TypeError(
                f"model_or_state[{name!r}] must be an array, not {type(value).__name__}: "
                "the state of an optimizer goes into a file with nn.save_checkpoint"
            )
        _check.refuse_mask(value, f"model_or_state[{name!r}]")
    write({name: np.asarray(value) for name, value in state.items()}, path, metadata)


def write(arrays, path, metadata):
    """Arrays and texts as a file, the same bytes for the same ones (the library has its texts in any order).

    TypeError that names the array where the format has no such type.
    """
    import json

    plain = []
    for name, array in arrays.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"the name of an array must be a text other than '__metadata__', not {name!r}")
        code = "BF16" if array.dtype.name == "bfloat16" else _CODES.get(array.dtype.newbyteorder("<"))
        if code is None:
            raise TypeError(f"{name} must be an array of numbers, not of {array.dtype}")
        plain.append((name, code, np.array(array, array.dtype.newbyteorder("<"), order="C")))
    plain.sort(key=lambda tensor: (-tensor[2].itemsize, tensor[0]))  # so that all are aligned
    head, end = {"__metadata__": metadata} if metadata else {}, 0
    for name, code, array in plain:
        head[name] = {"dtype": code, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, _, array in plain:
            file.write(array.reshape(-1).view(np.uint8))


def load(path):
    """The arrays of a safetensors file as a dict, ready for ``model.load_state_dict``.

    They are new and in the file's types; of bfloat16, which NumPy lacks, each value comes as the float32 of the same
    value. Raises OSError where the file cannot be read, and ValueError for one that is not in the format or holds
    types that no array of NumPy has (float8).
    """
    return read(path)[0]


def load_metadata(path):
    """The metadata that :func:`save` wrote: a dict of strings, empty where there is none.

    Raises as :func:`load` does.
    """
    return read(path)[1]


def read(path):
    """The arrays and the metadata of one reading of a file."""
    import json

    import safetensors

    path = _check.path(path)
    with open(path, "rb") as file, reading(path, KIND):
        data = file.read()
        tensors = dict(safetensors.deserialize(data))  # in any order
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = head.pop("__metadata__", {})
        return {name: _array(name, **tensors[name]) for name in head}, metadata


def _array(name, dtype, shape, data):
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise ValueError(f"NumPy has no type for {dtype}, that of {name}")
    array = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native if native.flags.writeable else native.copy()
