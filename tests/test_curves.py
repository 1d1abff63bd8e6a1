"""The coefficients in src_c are those that the scripts in tools/ make: fit_curves.py what stands in curves.c,
fit_polynomials.py the others."""

import importlib.util
import sys

import numpy as np
import pytest

from .common import ROOT, assert_same_bits

SOURCE = ROOT / "src_c/curves.c"


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fit():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(30):
        yield tool("fit_curves")


@pytest.fixture(scope="module")
def polynomials():
    mpmath = pytest.importorskip("mpmath")
    module = tool("fit_polynomials")
    with mpmath.workdps(module.DIGITS):
        yield module


def test_every_curve_stands_there_once(fit):
    names = [name for name, *_ in fit.curves_in(SOURCE.read_text())]
    assert names == list(fit.CURVES)
    header = (ROOT / "src_c/unary.h").read_text()
    assert [header.index(f"FM_CURVE_{name.upper()},") for name in names] == sorted(
        header.index(f"FM_CURVE_{name.upper()},") for name in names
    )


def test_layout_and_coefficients(fit):
    for name, scale, origin, far, centers, rows in fit.curves_in(SOURCE.read_text()):
        curve = fit.CURVES[name]
        assert (scale, origin) == (curve.scale, curve.origin), name
        for number, first, last in fit.pieces(curve):
            c = fit.Piece(curve, first, last, fit.mpmath.mp).coefficients(centers[number])
            assert_same_bits(rows[:, number], np.array(c, np.float32), f"{name}, piece {number}")
        assert last == far, name


def test_no_piece_is_off_by_more_than_an_ulp(fit):
    """By the kernel's arithmetic in NumPy, on 2000 floats of each piece."""
    for name, *_, centers, rows in fit.curves_in(SOURCE.read_text()):
        for number, first, last in fit.pieces(fit.CURVES[name]):
            trial = fit.Trial(name, fit.Piece(fit.CURVES[name], first, last, fit.Doubles), 2000)
            assert trial.error(centers[number], rows[:, number]) <= 1, f"{name}, piece {number}"


def test_polynomials(polynomials):
    for p in polynomials.POLYNOMIALS:
        assert p.written() == p.made(), f"{p.file}, {p.function}"


def test_float_exponential_is_within_a_hundredth_of_the_best(polynomials):
    """Its coefficients are copied, not made."""
    table, best = polynomials.exp_rest_32_errors()
    assert best <= table <= 1.01 * best < 3.67e-9


def test_every_long_number_is_made(polynomials):
    """Outside of curves.c, a hexadecimal number of more than three digits is a coefficient or a constant."""
    made = {c for p in polynomials.POLYNOMIALS for c in p.made()}
    for path in sorted(ROOT.glob("src_c/*.[ch]")):
        if path.name != "curves.c":
            known = made | set(polynomials.constants())
            found = set(polynomials.literals(path.read_text()))
            assert not {v.hex() for v in found if v not in known and -v not in known}, path.name
