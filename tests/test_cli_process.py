"""The command line as a process: encodings, Ctrl-C, pipes, terminals."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from fastml import nn
from fastml.cli import fit

COMMAND = [sys.executable, "-m", "fastml"]
SMALL = ["--epochs", "2", "--layers", "16", "--quiet"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def start(*argv, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([*COMMAND, *map(str, argv)], **options)


def test_output_that_the_encoding_lacks(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "1,\u00e9t\u00e9\n2,b\n" * 10, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = start("train", path, "--label", "y", *SMALL, env=environment)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, err) == (0, "")
    assert "\\xe9t\\xe9" in out


def test_imports_are_lazy():
    code = (
        "import sys, fastml\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('tqdm', 'matplotlib', 'safetensors')]\n"
        "assert not bad and 'fastml.cli' not in sys.modules, bad\n"
        "import fastml.cli.main\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('tqdm', 'matplotlib', 'safetensors')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def interrupt_in_training(*argv):
    process = start("train", "--epochs", 10**6, "--layers", "16", *argv)
    line = ""
    while not line.startswith("training:"):
        line = process.stdout.readline()
        assert line, process.stderr.read()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


@posix
def test_ctrl_c_reports_and_saves(tmp_path):
    path = tmp_path / "m.safetensors"
    code, out, err = interrupt_in_training("--save", path)
    assert code == 130
    assert re.search(r"fastml: interrupted in epoch \d+ of 1000000", err)
    assert "test accuracy" in out and "confusion matrix" in out
    assert f"wrote {path}" in out
    accuracy = json.loads(nn.load_metadata(path)["test_accuracy"])
    assert f"test accuracy  {100 * accuracy:.2f} %" in out
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@posix
def test_ctrl_c_while_loading(tmp_path):
    fifo = tmp_path / "slow.csv"
    os.mkfifo(fifo)
    process = start("train", fifo, "--label", "y")
    with open(fifo, "w") as file:  # waits until the command reads
        file.write("a,y\n1,2\n")
        file.flush()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "fastml: interrupted"


def test_second_interrupt_is_not_held_back():
    with fit.Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@posix
@pytest.mark.parametrize(
    "argv", [["--help"], ["train", "--help"], ["bench", "--help"], ["--version"], ["info"]], ids=" ".join
)
def test_texts_for_a_full_device(argv):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *argv], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "fastml: error: standard output: No space left on device\n")


@posix
@pytest.mark.parametrize("as_script", [False, True])
def test_ctrl_c_during_the_imports(as_script):
    """Anywhere behind the package's first import, before the command can do anything about it itself."""
    script = "import sys; sys.argv[0] = 'bin/fastml'; from fastml.cli.main import main; sys.exit(main())"
    how = ["-c", script] if as_script else ["-m", "fastml"]
    for part in range(8):
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", *how, "train", "--epochs", "1000000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in process.stderr:
            if "fastml._interrupt" in line:
                break
        time.sleep(0.03 * part)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        err = [line for line in err.splitlines() if line and not line.startswith("import time:")]
        assert process.returncode == 130
        assert err == ["fastml: interrupted"] or (out and "interrupted in epoch" in "".join(err)), err


@posix
@pytest.mark.parametrize("argv", [["train", *SMALL], ["train", "--epochs", "0"]])
@pytest.mark.parametrize(("out", "err"), [
    ("full", "good"), ("closed", "good"), ("good", "full"), ("good", "closed"), ("full", "full"), ("closed", "closed"),
])  # fmt: skip
def test_full_and_closed_streams(tmp_path, argv, out, err):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    path = tmp_path / "m.safetensors"
    ways = {"good": lambda name: tmp_path / name, "full": lambda name: "/dev/full", "closed": lambda name: "&-"}
    redirected = (
        f"exec {' '.join(map(str, [*COMMAND, *argv, '--save', path]))} >{ways[out]('out')} 2>{ways[err]('err')}"
    )
    code = subprocess.run(["bash", "-c", redirected], check=False, timeout=60).returncode
    refused = "0" in argv
    assert code == (2 if refused else int(out == "full"))
    assert path.exists() != refused
    if err == "good":
        told = (tmp_path / "err").read_text()
        assert ("standard output: No space left on device" in told) == (code == 1)
        assert told.count("\n") == (code > 0)


@posix
@pytest.mark.parametrize("argv", [["train", *SMALL], ["train", "--help"], ["info"]])
def test_reader_that_leaves(argv):
    process = start(*argv)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 141 or "--help" in argv  # argparse keeps quiet about it
    assert err == ""


@posix
def test_reader_that_leaves_during_training(tmp_path):
    path = tmp_path / "m.safetensors"
    process = start("train", "--epochs", 20, "--quiet", "--save", path)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 141
    assert err == ""
    assert nn.load(path)


@posix
def test_progress_bar_in_a_terminal():
    leader, follower = os.openpty()
    process = start("train", "--epochs", 3, stderr=follower)
    os.close(follower)
    text = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(leader)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(rb"epoch 3/3 100%\|.*\|.*loss \d\.\d+, validation accuracy [\d.]+ %", text)
    assert "\r" not in out
    assert "loss" not in out
