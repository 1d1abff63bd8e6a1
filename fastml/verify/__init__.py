"""Whether this machine computes the bits that fastml promises: every function and 200 steps of training, hashed.

The hashes that ship are in hashes.json, one table for all targets with multiply-adds (v4, v3, NEON) and one for the
baseline. `fastml verify` compares; `python -m fastml.verify` writes the table anew, which is a change to be told in the
changelog.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from .. import _openmp, _simd, num_threads

TABLE = Path(__file__).with_name("hashes.json")
THREADS = (1, 2, 3, 7, 16)


def digest(arrays):
    """The first 64 bits of the SHA-256 of the arrays' dtypes, shapes and bits, all NaN being one."""
    sha = hashlib.sha256()
    for array in map(np.asarray, arrays):
        plain = np.array(array, order="C")
        if plain.dtype.kind == "f":
            plain[np.isnan(plain)] = np.nan
        sha.update(f"{plain.dtype.str} {plain.shape} ".encode() + plain.tobytes())
    return sha.hexdigest()[:16]


def hashes(threads=1):
    """name → digest on this target with teams of `threads`, also where a team does not pay."""
    from . import cases, training

    found = {}

    def take(name, arrays):
        value = digest(arrays)
        if found.setdefault(name, value) != value:
            found[name] = f"explicit {found[name]}, compiled {value}"

    before = _openmp.get_threshold()
    _openmp.set_threshold(0 if threads > 1 else before)
    try:
        with num_threads(threads), np.errstate(all="ignore"):
            for dtype in (np.float32, np.float64):
                kind = np.dtype(dtype).name
                for name, arrays in (*cases.results(dtype), *training.results(dtype)):
                    take(f"{name} {kind}", arrays)
    finally:
        _openmp.set_threshold(before)
    return found


def table_name(target):
    """Which of the two tables a target has to meet."""
    return "baseline" if target == "baseline" else "fma"


def expected(target=None):
    """The hashes that ship for a target, the one in use unless given."""
    return json.loads(TABLE.read_text())[table_name(target or _simd.target)]


def differences(threads=1):
    """Names whose hash here is not the one that ships; also those that only one side has."""
    want, got = expected(), hashes(threads)
    return sorted(name for name in want.keys() | got.keys() if want.get(name) != got.get(name))
