"""Files written whole or not at all: by many threads and processes, through links, with errors half-way."""

import errno
import gzip
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastml import data, nn
from fastml._files import reading, replacing

from .common import ROOT

WRITERS = {
    "nn.save": (lambda path, i: nn.save({"w": np.full(20_000, i, np.float32)}, path), lambda path: nn.load(path)["w"]),
    "write_idx": (lambda path, i: data.write_idx(path, np.full(20_000, i, np.uint8)), data.read_idx),
}  # fmt: skip
posix = pytest.mark.skipif(os.name != "posix", reason="links, FIFOs and modes of POSIX")


@pytest.mark.parametrize("name", WRITERS)
def test_threads_that_write_one_file(tmp_path, name):
    write, read = WRITERS[name]
    path, over = tmp_path / "file", threading.Event()

    def repeat(i):
        for _ in range(30):
            write(path, i)

    def check():
        while not over.is_set():
            values = read(path)
            assert values.size == 20_000 and len(set(values.tolist())) == 1

    write(path, 0)
    with ThreadPoolExecutor(5) as pool:
        reader, writers = pool.submit(check), [pool.submit(repeat, i) for i in range(4)]
        try:
            for writer in writers:
                writer.result()
        finally:
            over.set()
        reader.result()
    assert os.listdir(tmp_path) == ["file"]


HALF_WAY = """
import sys
from fastml._files import replacing
with replacing(sys.argv[1]) as f:
    f.write(b'new'); f.flush(); input()
"""


def half_way(path):
    """A process that has begun to write to the path, and the name that it writes under."""
    before = set(os.listdir(path.parent))
    writer = subprocess.Popen([sys.executable, "-c", HALF_WAY, path], stdin=subprocess.PIPE, cwd=ROOT)
    while not (new := [n for n in os.listdir(path.parent) if n not in before and (path.parent / n).stat().st_size]):
        time.sleep(0.01)
    return writer, new[0]


@posix
def test_the_next_save_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "file"
    (dead, left), (alive, under_way) = half_way(path), half_way(path)
    (tmp_path / "file.0123456789abcdef.tmpl").touch()  # somebody else's
    dead.kill()
    assert dead.wait() == -signal.SIGKILL
    dead.stdin.close()
    assert left in os.listdir(tmp_path)
    nn.save({"w": np.ones(2)}, path)
    assert sorted(os.listdir(tmp_path)) == sorted(["file", "file.0123456789abcdef.tmpl", under_way])
    assert nn.load(path)["w"].tolist() == [1, 1]
    alive.communicate(b"\n")
    assert alive.returncode == 0 and path.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["file", "file.0123456789abcdef.tmpl"]


@posix
def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("fastml._files.fcntl", None)
    (tmp_path / "file.0123456789abcdef.tmp").touch()
    nn.save({"w": np.ones(2)}, tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "file.0123456789abcdef.tmp"]


@posix
def test_windows_moves_no_open_file_and_has_no_owners(tmp_path, monkeypatch):
    monkeypatch.setattr("fastml._files.fcntl", None)
    for name in ("fchown", "fchmod"):
        monkeypatch.delattr(os, name)
    move = os.replace

    def windows_move(scratch, target):
        held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        assert os.path.realpath(scratch) not in held
        move(scratch, target)

    monkeypatch.setattr(os, "replace", windows_move)
    for value in (1, 2):
        nn.save({"w": np.full(2, value)}, tmp_path / "file")
        assert nn.load(tmp_path / "file")["w"][0] == value and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_an_error_half_way_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind) as raised, replacing(path) as file:
        file.write(b"new")
        raise error
    if kind is OSError:
        assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


@posix
def test_links_modes_and_umask(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "model", tmp_path / "link"
    link.symlink_to("there/model")
    for mode in (0o600, 0o640):
        nn.save({"w": np.ones(2)}, link)  # also where the link leads to nothing yet
        assert link.is_symlink() and nn.load(target)["w"].tolist() == [1, 1]
        target.chmod(mode)
        nn.save({"w": np.zeros(2)}, link)
        assert link.is_symlink() and nn.load(target)["w"].tolist() == [0, 0]
        assert stat.S_IMODE(target.stat().st_mode) == mode
        target.unlink()
    before = os.umask(0o027)
    try:
        nn.save({"w": np.ones(2)}, target)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "there") == ["model"]


@posix
def test_fifos_and_devices_are_written_to(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(fifo.read_bytes()))
    reader.start()
    data.write_idx(fifo, np.arange(3, dtype=np.uint8))
    reader.join()
    assert seen[0].endswith(bytes([0, 1, 2])) and stat.S_ISFIFO(fifo.stat().st_mode)
    nn.save({"w": np.ones(2)}, os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert os.listdir(tmp_path) == ["fifo"]


@posix
def test_paths_that_cannot_be_written(tmp_path):
    for path, error in [
        (tmp_path, IsADirectoryError),
        (f"{tmp_path}/new/", IsADirectoryError),
        ("", FileNotFoundError),
        (tmp_path / "none" / "file", FileNotFoundError),
        (tmp_path / ("x" * 256), OSError),
    ]:
        with pytest.raises(error) as raised:
            nn.save({"w": np.ones(2)}, path)
        assert raised.value.filename == os.fspath(path)
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(OSError):
        nn.save({"w": np.ones(2)}, loop)
    if os.getuid():
        (tmp_path / "file").touch(0o444)
        with pytest.raises(PermissionError, match="file"):
            nn.save({"w": np.ones(2)}, tmp_path / "file")
        (tmp_path / "file").unlink()
    assert os.listdir(tmp_path) == ["loop"]
    nn.save({"w": np.ones(2)}, os.fsencode(tmp_path / ("é" * 120)))  # 240 bytes: longer with the scratch file's ending
    assert nn.load(tmp_path / ("é" * 120))["w"].tolist() == [1, 1]


def test_what_a_reader_raises_names_the_file():
    for raised, kind in [
        (KeyError("x"), ValueError),
        (RecursionError("deep"), ValueError),
        (OverflowError("much"), ValueError),
        (gzip.BadGzipFile("bad"), ValueError),
        (OSError(errno.EINVAL, "Invalid argument"), ValueError),
        (MemoryError(), ValueError),
        (AssertionError(), ValueError),
    ]:
        with pytest.raises(kind, match=r"^f\.x is not a picture: ."), reading("f.x", "picture"):
            raise raised
    for own in (OSError(errno.EIO, "Input/output error"), TypeError("own words"), KeyboardInterrupt()):
        with pytest.raises(type(own)) as seen, reading("f.x", "picture", own=TypeError):
            raise own
        assert seen.value is own
