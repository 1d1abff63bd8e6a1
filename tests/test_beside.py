"""Beside a library that has brought an OpenMP runtime of its own, before or after: a wheel's libgomp is a copy under
another name, and which of two a call reaches depends on who was loaded first and how."""

import importlib.util
import os

import pytest

from fastml import _threads

from .common import run_script

#: How to import the library, and a call of it that opens a parallel region on two threads.
BESIDE = {
    "torch": ("import torch", "torch.set_num_threads(2); torch.randn(512, 512).exp().sum().item()"),
    "sklearn": (
        "from sklearn.cluster import KMeans",
        "KMeans(4, n_init=1, max_iter=3).fit(np.random.default_rng(0).standard_normal((4000, 8)))",
    ),
}


@pytest.mark.parametrize("first", ["fastml", "other"])
@pytest.mark.parametrize("library", BESIDE)
@pytest.mark.skipif(_threads.runtime_name() == "none", reason="built without OpenMP")
def test_both_compute_and_so_do_children_of_fork(library, first):
    if not importlib.util.find_spec(library) or not hasattr(os, "fork"):
        pytest.skip(f"needs {library} and fork")
    imported, call = BESIDE[library]
    seen, told = run_script(
        f"""
        import os, sys
        import numpy as np
        {"import fastml; " + imported if first == "fastml" else imported + "; import fastml"}
        from fastml import _openmp

        threads = lambda: len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
        x = np.random.default_rng(0).standard_normal((2000, 1000)).astype(np.float32)
        print(fastml.get_num_threads(), fastml._threads.num_threads_reason())
        with fastml.num_threads(1):
            want = fastml.softmax(x)
        _openmp.set_threshold(0)

        def right():
            with fastml.num_threads(2):
                return all((fastml.softmax(x) == want).all() for _ in range(3))

        before = threads()
        print(right(), threads() > before or not before)
        {call}
        print(right())
        pid = os.fork()
        if pid == 0:
            os._exit(0 if right() else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), right())
        {call}
        print(right())
        """,
        timeout=60,
        OMP_NUM_THREADS="2",
    )
    assert seen.split() == ["2", "OMP_NUM_THREADS", "True", "True", "True", "0", "True", "True"], told
