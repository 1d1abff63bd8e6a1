"""fastml verify: the bits that ship are the bits here, on every target, in other processes, and a wrong one shows."""

import os
import subprocess
import sys

import pytest

from fastml import _simd, reference, verify
from fastml.verify import cases

from .processes import ROOT, run_script


def run(*options, **environment):
    """The exit code and the output of `fastml verify` in a new process."""

    command = [sys.executable, "-m", "fastml", "verify", *options]
    done = subprocess.run(
        command, check=False, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_every_function_has_a_case():
    assert {name for name, _, _ in cases.CASES} == set(reference.__all__)


@pytest.mark.parametrize("threads", verify.THREADS)
def test_the_bits_that_ship_are_the_bits_here(threads):
    assert verify.differences(threads) == []


def test_on_every_target():
    code, output = run("--threads", "1", "3")
    assert code == 0, output
    assert len(output.splitlines()) == 2 * len(_simd.available_targets())
    assert all(line.endswith("results as promised") for line in output.splitlines())


def test_a_wrong_bit_shows(monkeypatch, capsys):
    from fastml.cli.main import main

    table = verify.expected()
    names = sorted(table)[:2]
    monkeypatch.setattr(verify, "expected", lambda target=None: {**table, **dict.fromkeys(names, "0" * 64)})
    assert main(["verify", "--this-target", "--threads", "1"]) == 1
    assert f"2 differ: {names[0]}, {names[1]}" in capsys.readouterr().out


def test_a_result_that_lacks_shows(monkeypatch):
    table = verify.expected()
    monkeypatch.setattr(verify, "expected", lambda target=None: {**table, "no function float32": "0" * 64})
    assert verify.differences() == ["no function float32"]


def test_threads_out_of_range_are_one_line(capsys):
    from fastml.cli.main import main

    assert main(["verify", "--threads", "0"]) == 2
    assert capsys.readouterr().err.startswith("fastml: error: --threads must be between 1 and 1024")


def test_after_torch_was_loaded():
    pytest.importorskip("torch")
    seen, _ = run_script("""
        import torch
        torch.nn.functional.softmax(torch.ones(1 << 20), 0)
        from fastml import verify
        print(verify.differences(1), verify.differences(3))
    """)
    assert seen.split("\n")[0] == "[] []"


def test_with_flush_to_zero_set():
    pytest.importorskip("torch")
    seen, _ = run_script("""
        import torch
        from fastml import verify
        assert torch.set_flush_denormal(True)
        print(verify.differences(1), verify.differences(3))
    """)
    assert seen.split("\n")[0] == "[] []"
