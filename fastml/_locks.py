"""Locks that a forked child finds open."""

import os
import threading


def lock():
    """A lock for what belongs to the whole process. A fork waits for the thread that holds it: in the child there is no
    such thread."""
    made = threading.Lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=made.acquire, after_in_parent=made.release, after_in_child=made.release)
    return made
