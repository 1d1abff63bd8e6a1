"""The gate for threads, the OpenMP runtime under it, the choice of the SIMD target, and show_config()."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastml
from fastml import _simd, _threads

from .common import ROOT, normal, run_script

X = normal((512, 1000))

OPENMP = _threads.runtime_name() != "none"


def test_the_block_sets_and_restores():
    before = fastml.get_num_threads()
    with fastml.num_threads(3):
        assert fastml.get_num_threads() == 3
        with fastml.num_threads(1):
            assert fastml.get_num_threads() == 1
        assert fastml.get_num_threads() == 3
    assert fastml.get_num_threads() == before


def test_the_block_restores_after_an_error():
    before = fastml.get_num_threads()
    with pytest.raises(KeyError), fastml.num_threads(before + 1):
        raise KeyError
    assert fastml.get_num_threads() == before


def test_the_block_is_the_python_threads_own():
    seen = []
    with fastml.num_threads(5):
        other = threading.Thread(target=lambda: seen.append(fastml.get_num_threads()))
        other.start()
        other.join()
    assert seen == [fastml.get_num_threads()]


@pytest.mark.parametrize(
    ("n", "error"),
    [
        *((n, ValueError) for n in (0, -1, 1025, 10**30)),
        *((n, TypeError) for n in (1.0, "2", True, None)),
    ],
)
def test_numbers_that_are_none(n, error):
    before = fastml.get_num_threads()
    with pytest.raises(error, match="n must be"):
        fastml.set_num_threads(n)
    with pytest.raises(error, match="n must be"):
        fastml.num_threads(n).__enter__()
    assert fastml.get_num_threads() == before


def test_set_num_threads_holds_in_every_thread():
    seen, _ = run_script(
        """
        import threading, fastml
        fastml.set_num_threads(3)
        seen = []
        other = threading.Thread(target=lambda: seen.append(fastml.get_num_threads()))
        other.start(); other.join()
        print(seen[0], fastml._threads.num_threads_reason())
        """
    )
    assert seen.split() == ["3", "set_num_threads()"]


def test_omp_num_threads_is_honoured():
    seen, _ = run_script(
        "import fastml; print(fastml.get_num_threads(), fastml._threads.num_threads_reason())", OMP_NUM_THREADS="5"
    )
    assert seen.strip() == ("5 OMP_NUM_THREADS" if OPENMP else "1 built without OpenMP")


def test_omp_num_threads_beyond_reason():
    seen, _ = run_script(
        """
        import numpy as np, fastml
        from fastml import _openmp
        print(fastml.get_num_threads())
        _openmp.set_threshold(0)
        x = np.ones((64, 1000), np.float32)
        print(fastml.softmax(x).sum().round())
        """,
        OMP_NUM_THREADS="99999",
    )
    assert seen.split() == ["1024" if OPENMP else "1", "64.0"]


def test_threadpoolctl_is_honoured():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert fastml.get_num_threads() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_cpu_affinity_is_honoured():
    seen, _ = run_script(
        """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import fastml
        print(fastml.get_num_threads())
        """,
        OMP_NUM_THREADS=None,
    )
    assert seen.strip() == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_threads_that_ended_are_let_alone(tmp_path):
    """Their ids may be other processes' by now: a team of 4, then one of 2, 3 and 4, and a child of fork."""
    if not shutil.which("gcc") or len(os.sched_getaffinity(0)) < 2 or _threads.runtime_name() != "libgomp":
        pytest.skip("needs gcc, libgomp and two CPUs")
    library = tmp_path / "affinity.so"
    subprocess.run(["gcc", "-shared", "-fPIC", ROOT / "tests/c/affinity.c", "-o", library, "-ldl"], check=True)
    _, told = run_script(
        """
        import os, threading, time
        import numpy as np, fastml
        from fastml import _openmp
        _openmp.set_threshold(0)
        x = np.ones((64, 1000), np.float32)

        def teams():
            for n in (4, 2, 2, 3, 2, 4, 4):
                with fastml.num_threads(n):
                    time.sleep(0.005)  # so that the workers sleep
                    fastml.softmax(x)

        teams()
        for _ in range(2):
            other = threading.Thread(target=teams)
            other.start(); other.join()
        if not os.fork():
            teams()
            os._exit(0)
        os.wait()
        teams()
        """,
        LD_PRELOAD=str(library),
    )
    assert "own" in told.split() and "strange" not in told.split()


def test_a_threshold_of_0_always_has_a_team(tmp_path):
    """16 threads on fewer CPUs wait for each other, after which calls have one thread for a while: not in tests."""
    if not shutil.which("gcc") or _threads.runtime_name() != "libgomp":
        pytest.skip("needs gcc and libgomp")
    library = tmp_path / "regions.so"
    subprocess.run(["gcc", "-shared", "-fPIC", ROOT / "tests/c/regions.c", "-o", library, "-ldl"], check=True)
    _, told = run_script(
        """
        import numpy as np, fastml
        from fastml import _openmp
        _openmp.set_threshold(0)
        with fastml.num_threads(16):
            for _ in range(100):
                fastml.softmax(np.ones((64, 1000), np.float32))
        """,
        LD_PRELOAD=str(library),
    )
    assert "teams 100" in told


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_two_threads_beside_busy_programs():
    """Four programs have the second CPU: calls of two threads waited for it, 2.6 times as long as those of one."""
    if len(os.sched_getaffinity(0)) < 2 or _threads.runtime_name() != "libgomp":
        pytest.skip("needs libgomp and two CPUs")
    seen, _ = run_script(
        r"""
        import os, subprocess, sys, time
        import numpy as np, fastml
        mine, other = sorted(os.sched_getaffinity(0))[:2]
        x = np.ones((2048, 256), np.float32)

        def masks():
            return {name: os.sched_getaffinity(int(name)) for name in os.listdir("/proc/self/task")}

        def mean(threads, calls=200):
            with fastml.num_threads(threads):
                start = time.perf_counter()
                for _ in range(calls):
                    fastml.softmax(x)
                return time.perf_counter() - start

        mean(2)
        before = masks()
        busy = f"import os; os.sched_setaffinity(0, {{{other}}}); print(flush=True)\nwhile True: pass"
        programs = [subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) for _ in range(4)]
        try:
            for program in programs:
                program.stdout.readline()
            os.sched_setaffinity(0, {mine})
            print(min(mean(2) / mean(1) for _ in range(6)))
        finally:
            for program in programs:
                program.kill()
        os.sched_setaffinity(0, before[str(os.getpid())])
        mean(2)
        print(masks() == before)
        """
    )
    ratio, whole = seen.split()
    assert float(ratio) < 1.7 and whole == "True"


@pytest.mark.parametrize(("files", "cpus"), [
    ({"cpu.max": "150000 100000"}, 2),
    ({"cpu.max": "50000 100000"}, 1),
    ({"cpu.max": "max 100000"}, None),
    ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ({"cpu.max": "garbage"}, None),
    ({}, None),
])  # fmt: skip
def test_the_containers_quota(tmp_path, files, cpus):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert _threads._cgroup_cpus(tmp_path) == cpus


@pytest.mark.skipif(_threads.runtime_name() != "libgomp", reason="the spin count is libgomp's")
def test_the_runtime_spins_shortly_and_the_environment_stays():
    code = "import os, fastml; print('left', 'GOMP_SPINCOUNT' in os.environ)"
    seen, shown = run_script(code, OMP_DISPLAY_ENV="verbose", GOMP_SPINCOUNT=None, OMP_WAIT_POLICY=None)
    spin = int(shown.split("GOMP_SPINCOUNT = '")[1].split("'")[0])
    assert 100 < spin < 20_000
    assert "left False" in seen
    seen, shown = run_script(code, OMP_DISPLAY_ENV="verbose", GOMP_SPINCOUNT="77")
    assert "GOMP_SPINCOUNT = '77'" in shown and "left True" in seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("when", ["before any region", "after a region", "while threads compute"])
def test_children_of_fork_compute(when):
    seen, _ = run_script(
        f"""
        import os, threading
        import numpy as np, fastml
        x = np.random.default_rng(0).standard_normal((2000, 1000)).astype(np.float32)
        when = {when!r}
        with fastml.num_threads(1):
            want = fastml.softmax(x)
        if when == "after a region":
            fastml.softmax(x)
        workers = [threading.Thread(target=lambda: [fastml.softmax(x) for _ in range(20)]) for _ in range(2)]
        if when == "while threads compute":
            for w in workers: w.start()
        pid = os.fork()
        if pid == 0:
            ok = (fastml.softmax(x) == want).all() and (fastml.softmax(x) == want).all()
            os._exit(0 if ok else 1)
        print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        if when == "while threads compute":
            for w in workers: w.join()
        print("parent", (fastml.softmax(x) == want).all())
        """,
        timeout=60,
    )
    assert seen.split() == ["child", "0", "parent", "True"]


def test_many_python_threads_at_once():
    want = fastml.softmax(X)
    wrong = []

    def work():
        for _ in range(10):
            if not np.array_equal(fastml.softmax(X), want):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong


def test_an_unknown_target_is_a_clear_error():
    with pytest.raises(AssertionError, match=r"FASTML_ISA='v9' cannot be used: this build has"):
        run_script("import fastml", FASTML_ISA="v9")


@pytest.mark.parametrize("target", _simd.available_targets())
def test_every_target_can_be_forced(target):
    seen, _ = run_script("import fastml; print(fastml._simd.target, fastml._simd.reason)", FASTML_ISA=target)
    assert seen.split() == [target, "FASTML_ISA"]


def test_show_config(capsys):
    fastml.show_config()
    text = capsys.readouterr().out
    for word in ("fastml", "compiler", "targets built", "target in use", "OpenMP runtime", "threads", "BLAS"):
        assert word in text
    assert fastml.__version__ in text and _simd.target in text
    assert sys.version.split()[0] in text
