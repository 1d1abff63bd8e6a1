"""Makes src_c/curves.c, the polynomials of src_c/unary.h.

    python tools/fit_curves.py > src_c/curves.c            # needs mpmath; about two minutes

Layout: the pieces follow from the scale and origin of `LAYOUT`, as the kernel computes them.

Centers: a polynomial may be expanded about any point of its piece. Where the curve at that point happens to be a float
(to some hundredths of the spacing), c0 carries no error; where c1 and what follows are lucky as well, the polynomial is
nearly as good as with exact coefficients (accurate tables: S. Gal, B. Bachelis, "An accurate elementary mathematical
library for the IEEE floating point standard", ACM TOMS 17, 1991). `center` tries some hundred floats by running the
kernel's arithmetic on points of the piece, and takes the best. The first piece stays expanded about 0.

Coefficients: least squares of the error, in units of the result, at the Chebyshev nodes of the piece, in 30 digits.
They are rounded to float one after the other, each before the next are fitted. They depend on the center alone, so that
tests/test_curves.py can make them again.
"""

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

CURVES_C = Path(__file__).parents[1] / "src_c/curves.c"
DEGREE = 6
PIECES = 16
NODES = 32


class Doubles:
    """What the curves need of mpmath, over arrays of doubles."""

    pi, mpf = math.pi, float
    cos, exp, expm1, log1p, sqrt, tanh = np.cos, np.exp, np.expm1, np.log1p, np.sqrt, np.tanh
    erfc = np.vectorize(math.erfc, otypes=[float])


@dataclass(frozen=True)
class Curve:
    """A function of a and of the module that it computes with; the scale and origin of its pieces; the terms in whose
    units its error counts where they are larger."""

    of: Callable[[Any, Any], Any]
    layout: tuple[float, float]
    terms: tuple = ()

    @property
    def begins_at_0(self):
        """Then the first piece is a + (c1 t + ...), and min(a, c0) what the kernel adds to."""
        return self.of(0.0, Doubles) == 0

    @property
    def scale(self):
        return np.float32(self.layout[0])

    @property
    def origin(self):
        return np.float32(self.layout[1])


def uniform(width):
    return 1 / width, 1.5 * 2**23


def narrow_first(count, width):
    """`count` pieces of a width, then twice as wide ones: beyond -2^23 floats are half as dense."""
    return 0.5 / width, -(2**23) + 0.5 * count


def wide_first(count, width):
    """`count` pieces of a width, then half as wide ones."""
    return 0.5 / width, 2**22 + 0.5 * count


def tail(a, m):
    return m.erfc(a / m.sqrt(2)) / 2


def density(a, m):
    return m.exp(-a * a / 2) / m.sqrt(2 * m.pi)


def lower(a, m):
    """sigmoid(-a)"""
    return 1 / (1 + m.exp(a))


def lower_slope(a, m):
    return lower(a, m) / (1 + m.exp(-a))


def two_u(a, m):
    return m.sqrt(8 / m.pi) * (a + m.mpf("0.044715") * a**3)


def moved(a, m):
    """What a slope of GELU's tanh form takes from sigmoid(-2u)."""
    return a * lower_slope(two_u(a, m), m) * m.sqrt(8 / m.pi) * (1 + 3 * m.mpf("0.044715") * a**2)


#: The curves in the order of unary.h: the function and its layout; for a difference, the terms whose units count.
CURVES = {
    "gelu": Curve(lambda a, m: 2 * a * tail(a, m), wide_first(6, 0.45)),
    "gelu_tanh": Curve(lambda a, m: 2 * a * lower(two_u(a, m), m), wide_first(4, 0.45)),
    "silu": Curve(lambda a, m: 2 * a * lower(a, m), narrow_first(4, 0.44)),
    "sigmoid": Curve(lower, uniform(0.85)),
    "tanh": Curve(lambda a, m: m.tanh(a), narrow_first(6, 0.366)),
    "softplus": Curve(lambda a, m: m.log1p(m.exp(-a)), uniform(0.85)),
    "elu": Curve(lambda a, m: -m.expm1(-a), narrow_first(6, 0.697)),
    "gelu_slope": Curve(
        lambda a, m: tail(a, m) - a * density(a, m), wide_first(5, 0.49), (tail, lambda a, m: a * density(a, m))
    ),
    "gelu_tanh_slope": Curve(
        lambda a, m: lower(two_u(a, m), m) - moved(a, m),
        wide_first(4, 0.475),
        (lambda a, m: lower(two_u(a, m), m), moved),
    ),
    "silu_slope": Curve(
        lambda a, m: lower(a, m) - a * lower_slope(a, m),
        narrow_first(6, 0.47),
        (lower, lambda a, m: a * lower_slope(a, m)),
    ),
    "sigmoid_slope": Curve(lower_slope, narrow_first(4, 0.43)),
    "tanh_slope": Curve(lambda a, m: 4 * lower_slope(2 * a, m), narrow_first(4, 0.215)),
    "elu_slope": Curve(lambda a, m: m.exp(-a), uniform(0.85)),
}


def fma(a, b, c):
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)


def next_float(a, steps=1):
    return (np.float32(a).view(np.int32) + np.int32(steps)).view(np.float32)


def pieces(curve):
    """(number, first float, last float) of each piece, by the kernel's own rounding."""
    first = np.float32(0)
    for _ in range(PIECES):
        number = fma(-first, curve.scale, curve.origin)
        low, high = int(first.view(np.int32)), int(np.float32(64).view(np.int32))
        while high - low > 1:
            middle = (low + high) // 2
            same = fma(-np.int32(middle).view(np.float32), curve.scale, curve.origin) == number
            low, high = (middle, high) if same else (low, middle)
        last = np.int32(low).view(np.float32)
        yield int(number.view(np.int32)) % PIECES, first, last
        first = next_float(last)


class Piece:
    """One piece of a curve: its exact values at some points, in mpmath's numbers or, to try centers, in doubles."""

    def __init__(self, curve, first, last, m):
        self.curve, self.first, self.last, self.m = curve, first, last, m
        half = (m.mpf(float(last)) - m.mpf(float(first))) / 2
        nodes = [half * m.cos(m.pi * (2 * k + 1) / (2 * NODES)) for k in range(NODES)]
        self.x = self.array([m.mpf(float(first)) + half + node for node in nodes])
        self.y = self.values(self.x)
        self.weight = 1 / self.size(self.x, self.y)
        self.line = curve.begins_at_0 and float(first) == 0

    def array(self, values):
        return np.array(values, dtype=object if self.m is mpmath.mp else float)

    def values(self, x):
        return self.array([self.curve.of(v, self.m) for v in x]) if self.m is mpmath.mp else self.curve.of(x, self.m)

    def size(self, x, y):
        terms = [np.abs(y)]
        for term in self.curve.terms:
            terms.append(self.array([term(v, self.m) for v in x]) if self.m is mpmath.mp else term(x, self.m))
        return np.maximum.reduce(terms)

    def coefficients(self, center):
        """c0 ... c6 as floats."""
        center = self.m.mpf(float(center))
        t = self.x - center
        if self.line:
            c, rest = [np.float32(np.inf)], self.y - self.x
        else:
            c = [np.float32(self.curve.of(center, self.m))]
            rest = self.y - float(c[0])
        unit = max(abs(t[0]), abs(t[-1]))
        powers = [(t / unit) ** k * self.weight for k in range(DEGREE + 1)]
        for k in range(1, DEGREE + 1):
            c.append(np.float32(first_coefficient(powers[k:], rest * self.weight, self.m) / unit**k))
            rest = rest - float(c[k]) * t**k
        return c


def first_coefficient(columns, right, m):
    """The first coefficient of the least squares fit of `right` by the columns: Cholesky's solution for it comes last
    when the columns are taken in reverse, and needs no back substitution."""
    columns = columns[::-1]
    basis = []
    for column in columns:  # Gram and Schmidt, twice for the digits
        for _ in range(2):
            for b in basis:
                column = column - (column * b).sum() * b
        length = (column * column).sum()
        length = m.sqrt(length)
        basis.append(column / length)
    return (basis[-1] * right).sum() / length


def spacing(y):
    """The unit in the last place of floats near y."""
    return np.ldexp(1.0, np.frexp(np.abs(y))[1] - 24)


class Trial:
    """Floats of a piece, and the kernel's error on them."""

    def __init__(self, name, piece, count):
        first, last = (int(end.view(np.int32)) for end in (max(piece.first, np.float32(2**-30)), piece.last))
        floats = np.unique(np.linspace(first, last, count // 2).astype(np.int32)).view(np.float32)
        self.a = np.unique(np.append(floats, np.linspace(piece.first, piece.last, count // 2, dtype=np.float32)))
        exact = self.a.astype(np.float64)
        self.line, self.both_sides = piece.curve.begins_at_0, name == "softplus"
        self.wanted = piece.values(exact)
        self.unit = spacing(piece.size(exact, self.wanted))
        self.upper, self.upper_unit = self.wanted + exact, spacing(self.wanted + exact)

    def error(self, center, c):
        """The largest, in units in the last place of the curve, and of softplus's upper side, x + the curve."""
        t = self.a - center
        q = np.full_like(self.a, c[DEGREE])
        for k in range(DEGREE - 1, 0, -1):
            q = fma(q, t, c[k])
        got = fma(q, t, np.minimum(self.a, c[0]) if self.line else c[0])
        worst = np.max(np.abs(got - self.wanted) / self.unit)
        if self.both_sides:
            got = fma(q + np.float32(1), t, fma(center, np.float32(1), c[0]))
            worst = max(worst, np.max(np.abs(got - self.upper) / self.upper_unit))
        return worst


def candidates(piece, places, each):
    """Floats near some places of a piece, given as shares of its width, where the curve is close to a float. They are
    multiples of the spacing at the piece's width, so that a - center is exact."""
    width = float(piece.last) - float(piece.first)
    for place in places:
        near = float(piece.first) + place * width
        step = max(float(spacing(near)), 2.0 ** (math.ceil(math.log2(width)) - 24))
        x = (np.round(near / step) + np.arange(-2048, 2048)) * step
        y = piece.values(x)
        yield from x[np.argsort(np.abs(y - y.astype(np.float32)) / spacing(y))[:each]].astype(np.float32)


def best_center(name, first, last):
    piece = Piece(CURVES[name], first, last, Doubles)
    if first == 0:
        return np.float32(0)
    trial = Trial(name, piece, 1500)

    def tried(places, each):
        return [(trial.error(np.float32(z), piece.coefficients(z)), float(z)) for z in candidates(piece, places, each)]

    found = sorted(tried(np.linspace(-0.1, 1.1, 19), 12))
    best = (found[0][1] - float(first)) / (float(last) - float(first))
    found = sorted(found + tried(np.linspace(best - 0.06, best + 0.06, 6), 30))
    for count, kept in ((20_000, 40), (200_000, 10)):
        trial = Trial(name, piece, count)
        found = sorted((trial.error(np.float32(z), piece.coefficients(z)), z) for _, z in found[:kept])
    return np.float32(found[0][1])


def literal(x):
    if np.isinf(x):
        return "INFINITY"
    mantissa, exponent = float(x).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}f"


def braced(values, indent):
    lines, line = [], ""
    for text in [literal(v) + "," for v in values[:-1]] + [literal(values[-1]) + "}"]:
        if line and len(indent) + len(line) + len(text) > 110:
            lines.append(line.rstrip())
            line = ""
        line += text + " "
    return "{" + f"\n{indent} ".join([*lines, line.rstrip()])


HEAD = """\
/* The curves of unary.h, made by tools/fit_curves.py, which says how. One copy for all targets.
 * Long because it has 13 curves of 16 pieces. */
#include <math.h>

#include "unary.h"

const fm_curve fm_curves[] = {"""


def show(name, curve):
    centers, rows = np.zeros(PIECES, np.float32), np.zeros((DEGREE + 1, PIECES), np.float32)
    worst = 0
    for number, first, last in pieces(curve):
        centers[number] = best_center(name, first, last)
        rows[:, number] = Piece(curve, first, last, mpmath.mp).coefficients(centers[number])
        trial = Trial(name, Piece(curve, first, last, Doubles), 200_000)
        worst = max(worst, trial.error(centers[number], rows[:, number]))
    print(f"{name}: up to {last:.6g}, {worst:.3f} units in the last place", file=sys.stderr)
    numbers = ", ".join(map(literal, (curve.scale, curve.origin, last)))
    print(f"    [FM_CURVE_{name.upper()}] = {{\n        {numbers},\n        {braced(centers, ' ' * 8)},\n        {{")
    for row in rows:
        print(f"            {braced(row, ' ' * 12)},")
    print("        },\n    },", flush=True)


def curves_in(source):
    """Of each curve that stands in curves.c: scale, origin, far, the centers and the rows of coefficients."""
    for name, body in re.findall(r"\[FM_CURVE_(\w+)\] = \{(.*?)\n    \}", source, re.DOTALL):
        numbers = [
            np.float32(np.inf if v == "INFINITY" else float.fromhex(v[:-1]))
            for v in re.findall(r"-?0x[\w.+-]+f|INFINITY", body)
        ]
        yield (
            name.lower(),
            *numbers[:3],
            numbers[3 : 3 + PIECES],
            np.array(numbers[3 + PIECES :]).reshape(DEGREE + 1, PIECES),
        )


def main():
    mpmath.mp.dps = 30
    print(HEAD)
    for name, curve in CURVES.items():
        show(name, curve)
    print("};")


if __name__ == "__main__":
    main()
