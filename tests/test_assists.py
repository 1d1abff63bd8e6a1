"""No call on numbers of normal size meets a denormal or underflows, in the filler of its vectors neither.

Such a vector costs Intel's processors a microcode assist, some 150 cycles: 32 rows of 10 took 8 microseconds instead of
1. The processor's sticky flags tell. tests/c/flags.c asks every primitive; here whole calls are asked, at every width
of a short row and with every number of rows that a vector may be short of.
"""

import ctypes
import platform
import shutil
import subprocess

import numpy as np
import pytest

import fastml
from fastml import nn

from .arrays import DTYPES
from .processes import ROOT

WIDTHS = range(1, 41)
ROWS = (1, 3, 16, 21, 50)

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the flags of x86-64")


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    library = tmp_path_factory.mktemp("flags") / "mxcsr.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", ROOT / "tests/c/mxcsr.c", "-o", library], check=True)
    return ctypes.CDLL(str(library))


def told(flags, call):
    """What the call set off; it has been made once before, so that nothing else is made in it."""
    call()
    flags.flags_clear()
    call()
    found = flags.flags_found()
    return [word for bit, word in ((1, "denormal operand"), (2, "underflow")) if found & bit]


def normal_size(shape, dtype, seed=0):
    """Between a hundredth and four, of either sign: neither they nor their exponentials are far from 1."""
    random = np.random.default_rng(seed)
    return (random.uniform(0.01, 4, shape) * random.choice([-1, 1], shape)).astype(dtype)


def softmax_family(x, g, labels, shares, axis):
    other = shares[::-1].copy()
    return {
        "softmax": lambda: fastml.softmax(x, axis),
        "softmax_backward": lambda: fastml.softmax_backward(g, shares, axis),
        "log_softmax": lambda: fastml.log_softmax(x, axis),
        "log_softmax_backward": lambda: fastml.log_softmax_backward(g, x, axis),
        "logsumexp": lambda: fastml.logsumexp(x, axis),
        "cross_entropy": lambda: fastml.cross_entropy(x, labels, axis=axis),
        "cross_entropy with shares": lambda: fastml.cross_entropy(x, shares, axis=axis),
        "cross_entropy_with_grad": lambda: fastml.cross_entropy_with_grad(x, labels, axis=axis),
        "cross_entropy_with_grad smoothed": lambda: fastml.cross_entropy_with_grad(
            x, labels, axis=axis, label_smoothing=0.1
        ),
        "cross_entropy_with_grad with shares": lambda: fastml.cross_entropy_with_grad(x, other, axis=axis),
        "nll_loss_with_grad": lambda: fastml.nll_loss_with_grad(x, labels, axis=axis),
    }


def norms(x, g, labels, shares, axis):
    if axis != -1:
        return {}
    _, mean, inv_std = fastml.layer_norm(x)
    _, root = fastml.rms_norm(x)
    return {
        "layer_norm": lambda: fastml.layer_norm(x),
        "layer_norm_backward": lambda: fastml.layer_norm_backward(g, x, None, mean, inv_std),
        "rms_norm": lambda: fastml.rms_norm(x),
        "rms_norm_backward": lambda: fastml.rms_norm_backward(g, x, None, root),
    }


@pytest.mark.parametrize("family", [softmax_family, norms])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [-1, 0])
def test_short_rows(flags, family, dtype, axis):
    found = []
    for width in WIDTHS:
        for rows in ROWS:
            shape = (rows, width) if axis == -1 else (width, rows)
            x, g = normal_size(shape, dtype), normal_size(shape, dtype, 1)
            labels = np.arange(rows) % width
            shares = fastml.softmax(x, axis)
            with fastml.num_threads(1):
                for name, call in family(x, g, labels, shares, axis).items():
                    found += [f"{name} {shape}: {word}" for word in told(flags, call)]
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("classes", [3, 10])
def test_a_training_step(flags, classes):
    model = nn.Sequential(nn.Linear(4, 16, seed=0), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, classes, seed=1))
    optimizer = fastml.optim.SGD(model.parameters(), lr=0.1)
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)
    x, y = normal_size((33, 4), np.float32), np.arange(33) % classes
    with fastml.num_threads(1):
        assert told(flags, lambda: step(x, y)) == []


def test_flags_are_seen(flags):
    tiny = np.full(8, 1e-40, np.float32)
    assert told(flags, lambda: np.add(tiny, 1)) == ["denormal operand"]
    small = np.full(8, 1e-30, np.float32)
    assert told(flags, lambda: np.multiply(small, small)) == ["underflow"]
