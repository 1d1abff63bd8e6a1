"""Threads that do something at the same moment.

On a Python without the GIL they run side by side; with it they are switched every few microseconds. FASTML_NIGHTLY
makes the rounds many.
"""

import sys
import sysconfig
import threading

import pytest

from .processes import NIGHTLY

THREADS = 16
ROUNDS = 100 if NIGHTLY else 5
FREE = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture
def switching():
    """Threads that share the GIL change often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*works, threads=THREADS):
    """The results of `threads` threads that start together; thread k does works[k % len(works)](k)."""
    results, errors, start = [None] * threads, [], threading.Barrier(threads)

    def run(k):
        try:
            start.wait()
            results[k] = works[k % len(works)](k)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    running = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(120)
    assert not any(thread.is_alive() for thread in running), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def until(done, *works):
    """works that are done again and again until the first of all, done(k), has ended."""
    ended = threading.Event()

    def first(k):
        try:
            done(k)
        finally:
            ended.set()

    def again(work):
        def run(k):
            while not ended.is_set():
                work(k)

        return run

    at_once(first, *map(again, works), threads=1 + len(works))
