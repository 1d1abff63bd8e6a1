"""Standard output and error of the command, whatever state they are in."""

import os
import sys
from contextlib import contextmanager


class _Patient:
    """A stream that keeps quiet about what it cannot write: a full disk costs the messages, not the work."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        try:
            return self._stream.write(text)
        except OSError:
            discard(2)  # and what it still holds: the interpreter flushes once more at exit
            return len(text)

    def flush(self):
        try:
            self._stream.flush()
        except OSError:
            discard(2)


@contextmanager
def prepared():
    """Streams to write to: closed ones lead nowhere, errors of standard error are passed over."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout, sys.stderr = before[0] or nowhere, _Patient(before[1] or nowhere)
        if hasattr(sys.stdout, "reconfigure"):  # a class name may not fit the terminal's encoding
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def discard(descriptor):
    """Let what is still to be flushed to a descriptor go nowhere, so that the interpreter's own flush succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
