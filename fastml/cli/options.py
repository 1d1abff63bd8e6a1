"""Types of command-line options: each turns a word into a value or says in one line why it cannot."""

import argparse
import math


def integer(low, high=None):
    """An option type: an integer of at least ``low`` (and at most ``high``).

    >>> integer(1)("3")
    3
    """
    wanted = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"

    def convert(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
        return value

    return convert


def real(low, high=math.inf, *, open_low=False):
    """An option type: a finite number with ``low`` <= number < ``high`` (``open_low``: ``low`` < number).

    >>> real(0, 1)("0.5")
    0.5
    """
    if high == math.inf:
        wanted = f"a number {'above' if open_low else 'of at least'} {low}"
    else:
        wanted = f"a number {'above' if open_low else 'of at least'} {low} and below {high}"

    def convert(text):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        # A nan fails every comparison.
        if not ((low < value if open_low else low <= value) and value < high):
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
        return value

    return convert


def layers(text):
    """Widths of the hidden layers, separated by commas.

    >>> layers("128,64")
    (128, 64)
    """
    try:
        widths = tuple(int(word) for word in text.split(","))
    except ValueError:
        widths = ()
    if not widths or not all(1 <= width <= 65536 for width in widths):
        raise argparse.ArgumentTypeError(
            f"must be widths from 1 to 65536, separated by commas, as in 128,64, not {text!r}"
        )
    return widths
