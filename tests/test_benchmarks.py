"""Every benchmark runs and agrees with the reference, for every peer found; the table is true."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from fastml.benchmarks import common, steadiness, table, worker
from fastml.benchmarks.run import Row, Run

from fastml import _simd
from fastml.cli.main import main

CASES = common.select([])
LARGEST = 6 << 20


def _ids(cases):
    return [f"{case.label} {case.threads or ''}".strip() for _, _, case in cases]


def _size(case):
    return max(case.nbytes, case.flops // 100)


# What is left out for its size differs from a smaller row in its shape only.
SMOKE = [row for row in CASES if _size(row[2]) <= LARGEST]


def test_every_operation_has_a_small_row():
    assert {case.op for _, _, case in SMOKE} == {case.op for _, _, case in CASES}


@pytest.mark.parametrize(("stem", "index", "case"), SMOKE, ids=_ids(SMOKE))
def test_smoke(stem, index, case):
    setup = case.setup()
    assert set(setup.builders) == {"fastml", *case.peers}
    for peer in {"fastml", *case.peers} - {"jax"}:  # jax starts threads: it has a process of its own below
        if find_spec(peer):
            assert common.time_calls(setup.checked(peer), 1) > 0


@pytest.mark.parametrize(("stem", "index", "case"), SMOKE, ids=_ids(SMOKE))
def test_check_notices_a_wrong_result(stem, index, case):
    setup = case.setup()
    peer = "numpy" if "numpy" in case.peers else "fastml"
    result = setup.trial(peer)()
    setup.check(result, peer)
    first = result[0] if isinstance(result, (tuple, list)) else result
    if isinstance(first, np.ndarray) and first.ndim:
        if first.dtype == bool:
            first[:] = True
        else:
            first[...] = first * 1.01 + (1 if first.dtype.kind == "i" else 0.01)
    else:
        result = (first * 1.01, *result[1:]) if isinstance(result, tuple) else first * 1.01
    with pytest.raises(AssertionError, match=peer):
        setup.check(result, peer)


STEPS = [row for row in SMOKE if row[0] == "step"]


@pytest.mark.parametrize(("stem", "index", "case"), STEPS, ids=_ids(STEPS))
def test_the_timed_step_trains(stem, index, case):
    builders = case.setup().builders
    for peer in {"fastml", *case.peers} - {"jax"}:
        if find_spec(peer):
            call = builders[peer]()
            losses = [common.to_numpy(call()) for _ in range(40)]
            assert np.mean(losses[-5:]) < np.mean(losses[:5]), peer


def test_limit():
    case = replace(CASES[0][2], flops=10**6, nbytes=10**6)
    both, (arithmetic, transfer) = worker.Limit(case, threads=2), worker.Limit(case, threads=1).parts
    assert both() > 0 and len(both.parts) == 2
    assert arithmetic() > case.flops / 1e13 and transfer() > case.nbytes / 1e13
    assert not worker.Limit(replace(case, flops=0, nbytes=worker.Transfer.LEAST - 1), threads=1).parts


def test_multiply_adds_are_counted():
    flops = _simd.fma_chains(7)
    assert flops > 0 and flops % (2 * 7 * 16) == 0
    assert _simd.fma_chains(14) == 2 * flops == 4 * _simd.fma_chains(7, True)


def test_steadiness(capsys):
    steadiness.main(["relu", "step", "--sizes", "1024", "--samples", "4", "--conditions", "row,pause,matmul,busy"])
    _, header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["op", "size"] and len(rows) == 2 * 4
    assert [row.split()[2] for row in rows] == ["row", "pause", "matmul", "busy"] * 2
    assert last.startswith("8 lines: ")
    for words in (["nosuch"], ["relu", "--sizes", "0"], ["relu", "--conditions", "calm"]):
        with pytest.raises(SystemExit):
            steadiness.main(words)


def test_every_operation_is_timed_at_a_small_size():
    for op, build in steadiness.OPS.items():
        call = build(1024)
        assert len(steadiness.single_calls(call, 3)) == 3, op


def test_lines_say_where_threads_lose():
    line = steadiness.Line("relu", 1024, "matmul", [1e-3] * 10, [1e-3] * 9 + [3e-3], apart=8e-4)
    assert line.ratio() == pytest.approx(1.2)
    assert str(line).split()[3:9] == ["1000", "1000", "1000", "1200", "1.20", "1.25"]
    assert str(line).endswith("slower than one thread")
    even = steadiness.Line("relu", 1024, "row", [1e-3], [1e-3])
    assert not str(even).endswith("thread")
    assert steadiness.summary([line, even]).endswith("in 1")


def test_select():
    assert common.select([]) == CASES
    assert {stem for stem, _, _ in common.select(["softmax", "relu"])} == {"softmax", "activations"}
    assert {case.op for _, _, case in common.select(["relu"])} == {"relu"}
    with pytest.raises(ValueError, match="nosuch"):
        common.select(["relu", "nosuch"])


def test_shape_label():
    assert common.shape_label((32, 10)) == "32×10"
    assert common.shape_label((10**7,)) == "1e7"
    assert common.shape_label((12345,)) == "12345"


@pytest.mark.parametrize("wrong", [np.ones(3), np.full(2, np.nan), np.array([1.0, 1.1])])
def test_assert_close_refuses(wrong):
    common.assert_close(np.ones(2, np.float32), [1.0, 1.0], "float32", "same")
    with pytest.raises(AssertionError):
        common.assert_close(wrong, [1.0, 1.0], "float32", "other")


def _row(**changes):
    row = Row("softmax", "softmax", "32×10", "float32", 2, 2560, 0, 3)
    row.seconds = {"fastml": 1e-6, "torch": 3e-6, "numpy": 5e-7, "limit": 2.5e-7}
    row.ratios = {"torch": 3.0, "numpy": 0.5}
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def test_slower_rows_are_counted_and_shown():
    slower, faster, alone = _row(), _row(ratios={"torch": 3.0}), _row(ratios={})
    assert slower.best() == ("numpy", 0.5) and slower.limit_share() == 0.25
    text = table.summary([slower, faster, alone])
    assert "3 rows" in text and "every peer in 1," in text and "best peer in 1," in text and "in 1" in text
    assert table.cells(slower, ["torch", "numpy"])[3:] == ["1.00", "3.00", "0.50", "0.50", "numpy", "2.56 GB/s", "25%"]


def test_a_file_holds_one_processor_and_says_what_is_slower():
    slower, worse, faster = _row(), _row(ratios={"numpy": 0.25}), _row(ratios={"torch": 8.0, "numpy": 2.0})
    rows = [faster, slower, worse]
    assert table.slower(rows) == [worse, slower]
    assert "0.63 to the best peer (3), 4.90 to torch (2), 0.63 to numpy (3)" in table.summary(rows)
    machine = {"cpu": "Some(R) Chip(TM) 12-X CPU @ 2.0GHz (family 6, model 143), 2 CPUs", "threads": 2, "isa": "v3"}
    machine |= {"system": "", "python": "", "blas": "", "versions": {}}
    assert table.file_name(machine) == "some-chip-12-x-family-6-model-143-threads-2"
    text = table.markdown(machine, rows, ["torch", "numpy"])
    assert text.startswith("Some(R) Chip") and text.index("## Slower") < text.index("0.25 | numpy") < text.index(
        "## All"
    )
    assert "## " not in table.markdown(machine, [faster], ["torch"])


def test_failed_peer_is_an_error_and_not_a_win():
    row = _row(seconds={}, ratios={}, errors={"torch": "AssertionError: differs"})
    assert table.cells(row, ["torch", "numpy"])[3:6] == ["–", "error", "–"]
    assert table.errors(row) == ["softmax 32×10 float32: torch: AssertionError: differs"]
    assert "without a peer in 1" in table.summary([row])


def test_other_programs_are_noticed():
    assert not table.disturbance(_row())
    assert "used 40% of the CPUs" in table.disturbance(_row(others=0.4))
    burn = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Run(common.select(["sgd"])[:1], ["numpy"], threads=1, rounds=50) as run:
            (row,) = run.rows()
    finally:
        burn.kill()
        burn.wait()
    if sys.platform == "linux":
        assert row.others > 0.25 / (os.cpu_count() or 1)


def test_command_line(tmp_path, capsys):
    code = main(
        ["bench", "relu_backward", "linear", "--against", "numpy", "--rounds", "1", "--threads", "1"]
        + ["--save", str(tmp_path / "out")]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    cases = common.select(["relu_backward", "linear"])
    lines = shown.out.splitlines()
    assert lines[-1].startswith(f"{len(cases)} rows:")
    (kept,) = (tmp_path / "out").glob("*-threads-1.json")
    saved = json.loads(kept.read_text(encoding="utf-8"))
    assert len(saved["rows"]) == len(cases)
    assert all(row["seconds"]["fastml"] > 0 and not row["errors"] for row in saved["rows"])
    assert saved["machine"]["threads"] == 1 and "numpy" in saved["machine"]["versions"]
    assert kept.with_suffix(".md").read_text(encoding="utf-8").count("\n| ") >= len(cases)


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
def test_jax():
    cases = [row for row in SMOKE if "jax" in row[2].peers]
    with Run(cases, ["jax"], threads=1, rounds=1) as run:
        for row in run.rows():
            assert not row.errors and row.seconds["jax"] > 0


@pytest.mark.parametrize(
    "words", [["nosuch"], ["--against", "nosuch"], ["--rounds", "0"], ["--threads", "x"], ["--save", "/dev/null/x"]]
)
def test_wrong_arguments_are_one_line_and_code_2(words, capsys):
    assert main(["bench", *words]) == 2
    shown = capsys.readouterr()
    assert not shown.out and len(shown.err.splitlines()) == 1


def test_settings_that_cripple_a_peer_are_told(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    with Run(common.select(["sgd"])[:1], ["numpy"], threads=1, rounds=1) as run:
        assert any("OPENBLAS_CORETYPE=Prescott" in line for line in table.warnings(run.machine))
        assert [row.rounds for row in run.rows()] == [1]


def test_peers_that_are_missing_are_left_out(monkeypatch):
    monkeypatch.setattr("fastml.benchmarks.run.find_spec", lambda name: None)
    run = Run(common.select(["sgd"]), ["torch", "numpy"], threads=1, rounds=1)
    assert run.missing == ["torch", "numpy"] and run.peers == []


def test_a_process_that_dies_is_an_error_of_its_rows():
    with Run(common.select(["sgd"])[:2], ["numpy"], threads=1, rounds=1) as run:
        worker = next(worker for worker in run.workers if worker.peer == "numpy")
        worker.process.kill()
        worker.process.wait()
        rows = list(run.rows())
    assert all("numpy" in row.errors and row.seconds["fastml"] > 0 for row in rows)


def test_interrupt_ends_cleanly():
    code = "import sys; from fastml.cli.main import main; sys.exit(main(['bench', 'sgd', '--against', 'numpy']))"
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not process.stdout.readline().startswith("op"):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
