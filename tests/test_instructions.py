"""No small call takes more instructions than it did, as tests/instructions.py counts them."""

import json
import shutil

import pytest

import fastml

from . import instructions
from .processes import ROOT

KEPT = json.loads(instructions.STORED.read_text(encoding="utf-8"))

PART = """\
ob=(1) /lib/libc.so.6
fn=(1) memcpy
12 1000
cob=(2) /here/fastml/_simd.so
cfn=(2) softmax_rows_32
calls=3 7
12 999
ob=(2)
fn=(2)
7 40
+1 2
fi=(9) loops.h
* 3
ob=(3) /elsewhere/fastml/_simd.so
7 500
ob=(2)
9 5
totals: 1550
"""


def test_only_what_runs_in_the_folder_is_counted():
    assert instructions.executed(PART, "/here/fastml/") == 50
    assert instructions.executed(PART, "/lib/") == 1000


def test_growth_is_named():
    stored = {"softmax": 1000, "relu": 1000, "tanh": 1000}
    assert not instructions.grown(stored, {"softmax": 1030, "relu": 900})
    (line, new) = instructions.grown(stored, {"softmax": 1031, "relu": 1, "gelu": 5})
    assert line == "softmax: 1031 instructions, +3.1% over 1000" and new.startswith("gelu: 5 instructions, new")


def test_every_case_is_kept():
    assert list(KEPT["counts"]) == list(instructions.cases())


def test_no_call_takes_more_instructions():
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    if not fastml.__file__.startswith(str(ROOT)):
        pytest.skip("counts are those of a build in place: a wheel is linked otherwise")
    if (here := instructions.built_by()) != KEPT["built_by"]:
        pytest.skip(f"counts are kept for {KEPT['built_by']}, this is {here}")
    grown = instructions.grown(KEPT["counts"], instructions.count())
    assert not grown, "\n".join([*grown, "meant so? python -m tests.instructions writes the counts anew"])
