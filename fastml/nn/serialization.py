"""Models as safetensors files."""

import os
from contextlib import contextmanager

import numpy as np


def save(model_or_state, path, metadata=None):
    """Write a model's state (or a dict of arrays) as a safetensors file.

    ``metadata``: a dict of strings to strings. The file appears whole or not at all: it is written next
    to ``path`` and moved there. PyTorch reads it with ``safetensors.torch.load_file``.

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
    import safetensors.numpy

    state = model_or_state.state_dict() if hasattr(model_or_state, "state_dict") else model_or_state
    if not isinstance(state, dict):
        raise TypeError(f"a module or a dict of arrays is needed, got {type(state).__name__}")
    metadata = {} if metadata is None else metadata
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise TypeError("metadata must map strings to strings")
    # safetensors writes an array's memory as it lies: C order, the machine's byte order.
    arrays = {name: np.array(value, order="C", ndmin=0) for name, value in state.items()}
    data = safetensors.numpy.save(arrays, metadata=metadata or None)

    path = os.fspath(path)
    scratch = f"{path}.{os.getpid()}.tmp"
    try:
        with open(scratch, "wb") as file:
            file.write(data)
        os.replace(scratch, path)
    finally:
        if os.path.exists(scratch):
            os.unlink(scratch)


def load(path):
    """The arrays of a safetensors file as a dict, ready for ``model.load_state_dict``.

    Raises FileNotFoundError, and ValueError for a file that is not in the format.
    """
    import safetensors.numpy

    with _naming(path):
        return safetensors.numpy.load_file(path)


def load_metadata(path):
    """The metadata that :func:`save` wrote: a dict of strings, empty where there is none.

    Raises as :func:`load` does.
    """
    import safetensors

    with _naming(path), safetensors.safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


@contextmanager
def _naming(path):
    """Turns the format's errors into a ValueError that names the file."""
    import safetensors

    try:
        yield
    except safetensors.SafetensorError as error:
        raise ValueError(f"{os.fspath(path)} is not a safetensors file: {error}") from None
