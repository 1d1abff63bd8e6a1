"""fastml train --checkpoint: stopped anywhere, by anything, it goes on to the same bits."""

import os
import re
import signal
import time

import numpy as np
import pytest

from fastml import nn

from .processes import NIGHTLY
from .test_cli import refused, run
from .test_cli_process import posix, start

TRAINING = ["train", "--epochs", "12", "--layers", "32,16", "--seed", "5"]
KILLS = 25 if NIGHTLY else 3


def shown(out):
    """What a command prints, without times and the names of files."""
    return re.sub(r"speed.*|wrote.*", "", out)


def stopped(process, by=None, after=0):
    """(exit code, stdout, stderr) of a training that gets a signal some seconds after it has begun."""
    with process:
        out = process.stdout.readline()  # loading is over
        if by:
            time.sleep(after)
            process.send_signal(by)
        out += process.stdout.read()
        err = process.stderr.read()
    return process.returncode, out, err


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that is never stopped: the file that it saves and what it prints."""
    path = tmp_path_factory.mktemp("whole") / "m.safetensors"
    process = start(*TRAINING, "--quiet", "--save", path)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return path.read_bytes(), shown(out)


@posix
@pytest.mark.parametrize("every", [1, 5])
def test_killed_at_random_moments(tmp_path, whole, every):
    state, path = tmp_path / "state", tmp_path / "m.safetensors"
    rng, kills, resumed = np.random.default_rng(every), 0, 0
    while True:
        process = start(*TRAINING, "--checkpoint", state, "--resume", "--every", every, "--save", path, "--quiet")
        last = kills == KILLS
        code, out, err = stopped(process, None if last else signal.SIGKILL, rng.uniform(0, 0.3))
        resumed += "going on from" in err
        if code == -signal.SIGKILL:
            kills += 1
            continue
        assert code == 0, err
        assert (path.read_bytes(), shown(out)) == whole
        if last:
            break
        state.unlink()  # it came to its end before the signal
    assert resumed
    scratch = [name for name in os.listdir(tmp_path) if name not in ("state", "m.safetensors")]
    assert all(re.fullmatch(r"(state|m\.safetensors)\.[0-9a-f]{16}\.tmp", name) for name in scratch)


@posix
def test_ctrl_c_loses_nothing(tmp_path):
    """It is saved in the middle of an epoch, and the rest of that epoch comes first; also a second time."""
    big = ["train", "--epochs", "150", "--layers", "64", "--batch-size", "2", "--quiet"]
    whole, path, state = tmp_path / "whole.safetensors", tmp_path / "m.safetensors", tmp_path / "state"
    code, out, _ = stopped(start(*big, "--save", whole))
    assert code == 0
    for stops in (1, 2, 0):
        process = start(*big, "--checkpoint", state, "--resume", "--every", 1000, "--save", path)
        code, again, err = stopped(process, signal.SIGINT if stops else None, 0.2)
        assert code == (130 if stops else 0), err
    assert path.read_bytes() == whole.read_bytes() and shown(again) == shown(out)


def test_resuming_what_is_done_shows_it_again(capsys, tmp_path):
    state, one, two = tmp_path / "state", tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    small = ["train", "--epochs", 2, "--layers", 16, "--quiet", "--checkpoint", state]
    code, out, err = run(capsys, *small, "--save", one)
    assert (code, err) == (0, "")
    code, again, err = run(capsys, *small, "--resume", "--save", two, "--threads", 1)
    assert (code, err) == (0, f"fastml: going on from {state}: 2 of 2 epochs are done\n")
    assert one.read_bytes() == two.read_bytes() and shown(again) == shown(out)


def test_what_cannot_be_resumed(capsys, tmp_path):
    state = tmp_path / "state"
    small = ["train", "--epochs", 2, "--layers", 16, "--quiet"]
    refused(capsys, *small, "--resume", words=["--resume is for --checkpoint FILE"])
    refused(capsys, *small, "--every", 2, words=["--every is for --checkpoint FILE"])
    refused(capsys, *small, "--checkpoint", tmp_path, words=["is a directory"])
    refused(capsys, *small, "--checkpoint", tmp_path / "none" / "state", words=["none does not exist"])
    refused(capsys, *small, "--checkpoint", state, "--every", 0, words=["--every"])
    assert run(capsys, *small, "--checkpoint", state)[0] == 0
    whole = state.read_bytes()
    refused(capsys, *small, "--checkpoint", state, words=["is there already", "--resume"])
    resume = ["--checkpoint", state, "--resume"]
    refused(capsys, *small, *resume, "--epochs", 3, words=["its training has --epochs 2, not 3"])
    refused(capsys, *small, *resume, "--learning-rate", 0.1, words=["its training has --learning-rate 0.05, not 0.1"])
    refused(capsys, *small, *resume, "--layers", 17, words=["its training has --layers 16, not 17"])
    refused(capsys, *small, *resume, "--layers", "16,8", words=["its training has --layers 16, not 16,8"])
    refused(capsys, "train", "spirals", *small[1:], *resume, words=["its training has other data"])
    for text in (b"", b"no checkpoint\n", b"\xff" * 3000):
        state.write_bytes(text)
        refused(capsys, *small, *resume, words=["state is not a safetensors file"])
    state.write_bytes(whole[:-1])
    refused(capsys, *small, *resume, words=["state is not a safetensors file"])
    nn.save_checkpoint(state, model=nn.Linear(2, 2, seed=0), extra=1)
    refused(capsys, *small, *resume, words=["state: it was not written by fastml train"])
    assert os.listdir(tmp_path) == ["state"]


def test_other_data_under_the_same_name(capsys, tmp_path):
    table, state = tmp_path / "t.csv", tmp_path / "state"
    command = ["train", table, "--label", "y", "--epochs", 2, "--layers", 4, "--quiet", "--checkpoint", state]
    for x in (1, 2):
        table.write_text("a,y\n" + f"{x},p\n5,q\n" * 20)
        if x == 1:
            assert run(capsys, *command)[0] == 0
    refused(capsys, *command, "--resume", words=["its training has other data"])


def test_a_checkpoint_that_cannot_be_written_costs_no_training(capsys, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nn, "save_checkpoint", full)
    path = tmp_path / "m.safetensors"
    code, out, err = run(
        capsys, "train", "--epochs", 2, "--layers", 16, "--quiet", "--checkpoint", tmp_path / "state", "--save", path
    )
    assert code == 1 and path.exists() and "test accuracy" in out
    assert err == f"fastml: error: --checkpoint {tmp_path / 'state'}: No space left on device\n"


def test_the_model_does_not_replace_the_checkpoint(capsys, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    paths = tmp_path / "a.safetensors", tmp_path / "link" / "a.safetensors"
    assert "another file than --save" in refused(
        capsys, *TRAINING, "--checkpoint", str(paths[0]), "--save", str(paths[1])
    )
    assert not paths[0].exists()
