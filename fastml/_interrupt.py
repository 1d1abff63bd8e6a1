"""Ctrl-C while the ``fastml`` command is being loaded: a word, code 130 and no traceback.

The package is imported before any line of the command can run, NumPy with it, so this comes first of all in
``fastml/__init__.py``; other programs that import fastml are left alone. The handler ends the process at once, as an
exception half-way through an import comes out as anything. Commands that have something to report set their own.
What only the command needs is imported with it: signal alone is a twentieth of the import.
"""

import os
import sys
from contextlib import suppress
from itertools import pairwise


def is_the_command():
    """Whether this process is ``fastml`` or ``python -m fastml``."""
    name = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    return name in ("fastml", "fastml.exe") or (name == "-m" and ("-m", "fastml") in pairwise(sys.orig_argv))


def _end(number, frame):
    with suppress(OSError):
        os.write(2, b"\nfastml: interrupted\n")
    os._exit(130)


def end_quietly():
    """Let Ctrl-C end the process at once; where it is ignored (nohup) or handled, it stays so."""
    import signal
    import threading

    if threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _end)


def raise_again():
    """Let Ctrl-C raise KeyboardInterrupt again, where :func:`end_quietly` is in force."""
    import signal

    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if is_the_command():
    end_quietly()
