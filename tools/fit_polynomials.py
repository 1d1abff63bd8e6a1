"""Makes the polynomials and constants of exp.h, gelu.h, unary.c, losses.c and distance.c (curves.c has fit_curves.py).

    python tools/fit_polynomials.py        # needs mpmath; prints them all

tests/test_curves.py says that these numbers stand in the files, and no others. There are two recipes:

`minimax` is Remez's exchange. It begins at Chebyshev's extrema and looks for the error's on a grid of 2000 steps. The
interval is a thousandth or a ten-thousandth wider than the reduced argument, which may end a rounding outside.

`at_nodes` interpolates at Chebyshev's nodes. Its error is near the least, and no exchange is needed.

The float polynomial of exp has none: how it was searched for is not known. Its numbers are copied here from exp.h. The
script computes their largest error in exact arithmetic, 3.649e-9 of e^r. The best polynomial with unrounded
coefficients is off by 3.627e-9.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

SOURCES = Path(__file__).parents[1] / "src_c"
DIGITS = 60
STEPS = 2000


def nodes(count, low, high):
    """Chebyshev's nodes of an interval."""
    return [
        (low + high) / 2 + (high - low) / 2 * mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) for k in range(count)
    ]


def extrema(count, low, high):
    """The extrema of a Chebyshev polynomial, from low to high."""
    return [(low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * k / (count - 1)) for k in range(count)]


def at_nodes(f, degree, low, high):
    """c0, c1, ... of the polynomial through f at Chebyshev's nodes."""
    x = nodes(degree + 1, low, high)
    powers = mpmath.matrix([[v**k for k in range(degree + 1)] for v in x])
    return list(mpmath.lu_solve(powers, mpmath.matrix([f(v) for v in x])))


def minimax(f, powers, low, high, weight=lambda x: mpf(1)):
    """The coefficients of these powers whose largest weighted error on the interval is least, and that error."""
    grid = [low + (high - low) * mpf(i) / STEPS for i in range(STEPS + 1)]
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    points = extrema(len(powers) + 1, low, high)
    while True:
        rows = [[weight(x) * x**k for k in powers] + [(-1) ** i] for i, x in enumerate(points)]
        *c, error = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([weight(x) * f(x) for x in points]))
        errors = [w * (y - polynomial(c, powers, x)) for x, y, w in zip(grid, values, weights, strict=True)]
        found = alternating(grid, errors)
        if found == points or len(found) != len(points):
            return c, abs(error)
        points = found


def polynomial(c, powers, x):
    return sum(a * x**k for a, k in zip(c, powers, strict=True))


def alternating(grid, errors):
    """The place of the largest error between each two changes of sign."""
    runs = [[0]]
    for i in range(1, len(grid)):
        if (errors[i] > 0) == (errors[i - 1] > 0):
            runs[-1].append(i)
        else:
            runs.append([i])
    return [grid[max(run, key=lambda i: abs(errors[i]))] for run in runs]


def taylor(coefficients):
    """The function of a power series."""
    return lambda x: mpmath.polyval(coefficients[::-1], x)


def mills(a):
    """e^(a^2 / 2) Phi(-a)"""
    return mpmath.exp(a * a / 2) * mpmath.erfc(a / mpmath.sqrt(2)) / 2


def mills_of(k):
    """(1 + a) M(a) as a function of q = (a - k) / (a + k)."""

    def f(q):
        a = k * (1 + q) / (1 - q)
        return (1 + a) * mills(a)

    return f


def far_mills(s):
    """(a M(a) - 1 / sqrt(2 pi)) / s with s = 1 / a^2."""
    a = 1 / mpmath.sqrt(s)
    return (a * mills(a) - 1 / mpmath.sqrt(2 * mpmath.pi)) / s


def half_ln2(widened):
    return mpmath.ln(2) / 2 * mpf(widened)


def exp_rest_64():
    """(e^r - 1 - r) / r^2; c0 comes out as 1/2."""
    end = half_ln2("1.0001")
    f = taylor([1 / mpmath.factorial(k + 2) for k in range(40)])
    return minimax(f, range(11), -end, end)[0][1:]


def exp_rest_32():
    return [mpf(float.fromhex(v)) for v in ("0x1.5554a2p-3", "0x1.555678p-5", "0x1.123068p-7", "0x1.6b8306p-10")]


def exp_rest_32_errors():
    """The largest error of exp_rest_32 relative to e^r, and that of the best polynomial of its form."""
    end, powers, c = half_ln2(1), range(4), exp_rest_32()
    f = taylor([1 / mpmath.factorial(k + 3) for k in range(20)])

    def weight(r):  # never 0, or the exchange had no solution
        return (abs(r) ** 3 + mpf(10) ** -30) / mpmath.exp(r)

    grid = [end * mpf(i) / STEPS for i in range(-STEPS, STEPS + 1)]
    return max(abs(weight(r) * (f(r) - polynomial(c, powers, r))) for r in grid), minimax(f, powers, -end, end, weight)[
        1
    ]


def atanh_series(count):
    """2 atanh(t) / t - 2 over z = t^2."""
    return [mpf(2) / (2 * k + 3) for k in range(count)]


def atanh_rest_64():
    """Up to the largest t^2 of a logarithm, t = (sqrt(2) - 1) / (sqrt(2) + 1)."""
    end = (3 - 2 * mpmath.sqrt(2)) ** 2 * mpf("1.001")
    return minimax(taylor(atanh_series(70)), range(8), mpf(0), end)[0]


def mills_32():
    return at_nodes(mills_of(3), 10, mpf(-1), mpf(12) / 18)  # a up to 15


def mills_64():
    return at_nodes(mills_of(4), 23, mpf(-1), mpf(35) / 43)  # a up to 39


def mills_far():
    return at_nodes(far_mills, 5, 1 / mpf(15) ** 2, 1 / mpf("4.75") ** 2)


@dataclass(frozen=True)
class Polynomial:
    """Where the coefficients stand, the highest power first, and what makes them, the lowest first."""

    file: str
    function: str
    type: Callable[[float], Any]
    make: Callable[[], list]

    def made(self):
        return [float(self.type(float(c))) for c in reversed(self.make())]

    def written(self):
        """What stands there, without the constants."""
        return [v for v in literals(body(self.file, self.function)) if abs(v) not in constants()]


POLYNOMIALS = [
    Polynomial("exp.h", "v32_exp_rest", np.float32, exp_rest_32),
    Polynomial("exp.h", "v64_exp_rest", np.float64, exp_rest_64),
    Polynomial("exp.h", "v64_atanh_rest", np.float64, atanh_rest_64),
    Polynomial("exp.h", "v32_log_near1", np.float32, lambda: atanh_series(4)),
    Polynomial("exp.h", "v32_log_near1_pair", np.float32, lambda: atanh_series(4)),
    Polynomial("gelu.h", "v32_mills", np.float32, mills_32),
    Polynomial("gelu.h", "v64_mills", np.float64, mills_64),
    Polynomial("unary.c", "unary_far", np.float32, mills_far),
]


def nearest(value, bits):
    """The nearest number of so many bits."""
    places = bits - 1 - int(mpmath.floor(mpmath.log(abs(value), 2)))
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(value, places)), -places)


def halves(value, bits, upper=None):
    """A number in two parts of so many bits; the upper part may have fewer."""
    high = nearest(value, upper or bits)
    return [high, nearest(value - high, bits)]


@functools.cache
def constants():
    """The sizes of all numbers that are a formula rounded: {value: what it is}. The upper part of ln 2 is short, so
    that its products with whole numbers are exact."""
    ln2, root2, slope, cubic = mpmath.ln(2), mpmath.sqrt(2), mpmath.sqrt(8 / mpmath.pi), mpf("0.044715")
    known = {}
    for bits, upper in ((24, 16), (53, 42)):
        for name, values in {
            "1 / ln 2": [nearest(1 / ln2, bits)],
            "ln 2": [nearest(ln2, bits)],
            "ln 2 in two parts": halves(ln2, bits, upper),
            "sqrt(2)": [nearest(root2, bits)],
            "sqrt(8 / pi) in two parts": halves(slope, bits),
            "0.044715 sqrt(8 / pi) in two parts": halves(slope * cubic, bits),
            "3 * 0.044715 sqrt(8 / pi)": [nearest(3 * slope * cubic, bits)],
            "1 / sqrt(2 pi) in two parts": halves(1 / mpmath.sqrt(2 * mpmath.pi), bits),
            "the largest finite number": [mpf(2) ** (127 if bits == 24 else 1023) * (2 - mpf(2) ** (1 - bits))],
        }.items():
            known |= {abs(float(v)): name for v in values}
    return known


def body(file, function):
    """The C of one function."""
    text = (SOURCES / file).read_text()
    text = text[re.search(rf"^.*\b{function}\(.*\n\{{", text, re.MULTILINE).start() :]
    return text[: text.index("\n}")]


def literals(text):
    """The long hexadecimal numbers: their digits were computed by somebody."""
    return [float.fromhex(v) for v in re.findall(r"-?0x1\.[0-9a-f]{3,}p[+-]?\d+", text)]


def main():
    mpmath.mp.dps = DIGITS
    for p in POLYNOMIALS:
        print(f"{p.file} {p.function}")
        print("   ", ", ".join(c.hex() for c in p.made()))
    for value, name in constants().items():
        print(f"{name}: {value.hex()}")
    table, best = exp_rest_32_errors()
    print(f"v32_exp_rest: {mpmath.nstr(table, 5)} of e^r; the best with exact coefficients: {mpmath.nstr(best, 5)}")


if __name__ == "__main__":
    main()
