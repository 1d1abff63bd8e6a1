"""Teams of a given size, and code in new interpreters: with another environment, on another target."""

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from fastml._simd import available_targets

import fastml
from fastml import _openmp

from .arrays import assert_all_same_bits, assert_close

#: Whether tests that draw at random may take minutes instead of seconds.
NIGHTLY = bool(os.environ.get("FASTML_NIGHTLY"))
THREADS = (1, 2, 3, 7)
ROOT = Path(__file__).resolve().parent.parent


def with_threads(n, function, *args, **kwargs):
    """Call the function with teams of n threads, also where a team does not pay."""
    before = _openmp.get_threshold()
    _openmp.set_threshold(0)
    try:
        with fastml.num_threads(n):
            return function(*args, **kwargs)
    finally:
        _openmp.set_threshold(before)


def assert_same_for_any_threads(function, *args, **kwargs):
    """The results of the call, one or several, have the same bits with teams of any number of threads."""
    want, *others = (with_threads(n, function, *args, **kwargs) for n in THREADS)
    for n, got in zip(THREADS[1:], others, strict=True):
        several = isinstance(want, (tuple, list))
        assert_all_same_bits(got if several else [got], want if several else [want], f"{n} threads")


def run_script(code, timeout=120, **environment):
    """Run code in a new interpreter; return what it printed and what went to stderr. None unsets a variable."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    env = {name: value for name, value in env.items() if value is not None}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=False, env=env, cwd=ROOT, timeout=timeout, capture_output=True, text=True)
    assert done.returncode == 0, f"{environment} {done.returncode}:\n{done.stderr}"
    return done.stdout, done.stderr


def run_python(code, timeout=120, **environment):
    """Run code in a new interpreter; return the arrays of its dict `result`."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "result.npz")
        code = f"{textwrap.dedent(code)}\nimport numpy\nnumpy.savez({path!r}, **result)\n"
        run_script(code, timeout, **environment)
        with np.load(path) as file:
            return dict(file)


def run_on_target(target, code, timeout=120):
    """Run code in a new interpreter with the kernels of one target: "baseline", "v3", "v4" or "neon"."""
    return run_python(code, timeout, FASTML_ISA=target)


def assert_same_on_fma_targets(code, baseline_ulp=None):
    """The arrays of the code's dict `result` have the same bits on every target of this CPU but the baseline.

    Where ``baseline_ulp`` is given, those of the baseline are so close to them, in units of at least 1's.
    """
    targets = [target for target in available_targets() if target != "baseline"]
    baseline = baseline_ulp is not None and "baseline" in available_targets()
    if len(targets) + baseline < 2:
        pytest.skip("this CPU runs one target with FMA")
    first, *others = (run_on_target(target, code) for target in targets)
    for target, other in zip(targets[1:], others, strict=True):
        assert_all_same_bits(other, first, target)
    if baseline:
        for name, value in run_on_target("baseline", code).items():
            assert_close(value, first[name], baseline_ulp, scale=1.0, what=name)


def assert_same_past_the_caches(code):
    """The arrays of the code's dict `result` have the same bits where stores go past the caches."""
    assert_all_same_bits(run_python(code, FASTML_CACHE_BYTES="1"), run_python(code))
