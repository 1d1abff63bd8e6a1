"""How far training is: lines, a bar in a notebook, nothing without a standard error. Terminals: test_cli_process.py."""

import sys
import types

import pytest

from fastml._progress import Progress


def three_epochs(**options):
    with Progress(3, 10, quiet=False, **options) as progress:
        for epoch in range(options.get("done", 0) // 10, 3):
            progress.advance(10)
            progress.end_epoch(epoch, f"loss {epoch}")


def test_lines(capsys):
    three_epochs()
    assert capsys.readouterr().err.splitlines() == [f"epoch {i + 1}/3  loss {i}" for i in range(3)]
    three_epochs(done=20)
    assert capsys.readouterr().err.splitlines() == ["epoch 3/3  loss 2"]


@pytest.mark.filterwarnings("ignore:IProgress not found")  # a text bar then
@pytest.mark.parametrize("done", [0, 10])
def test_a_bar_in_a_notebook(capsys, monkeypatch, done):
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    three_epochs(done=done)
    told = "".join(capsys.readouterr())
    assert "\r" in told and f"epoch {1 + done // 10}/3" in told and "epoch 3/3 100%|" in told and "loss 2" in told
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    three_epochs()
    assert "\r" not in capsys.readouterr().err


def test_without_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    three_epochs()
    assert capsys.readouterr().out == ""
