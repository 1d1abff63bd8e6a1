"""src_c/curves.c is what tools/fit_curves.py makes of its centers."""

import importlib.util

import numpy as np
import pytest

from .common import ROOT, assert_same_bits

SOURCE = ROOT / "src_c/curves.c"


@pytest.fixture(scope="module")
def fit():
    mpmath = pytest.importorskip("mpmath")
    spec = importlib.util.spec_from_file_location("fit_curves", ROOT / "tools/fit_curves.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with mpmath.workdps(30):
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
