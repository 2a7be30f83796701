"""How are numbers written? Percentages, three digits, bytes, operations and counts with a noun."""

import math

import numpy as np

Number = int | float | np.integer | np.floating
"""As Python or NumPy has it."""

NOTHING = 1e-9
"""Smaller numbers are rounding of computers, and written as 0."""
ROUNDING = 5e-5
"""Smaller differences are written by their order of magnitude alone."""
LEAST_SHARE = 1e-6
"""Smaller shares are written as less than this: their digits would need an exponent."""


def percent(share: Number) -> str:
    """Write a share with three significant digits, and never a false 0% or 100%."""
    if share in (0, 1):
        return "100%" if share else "0%"
    if abs(share) < LEAST_SHARE:
        return "<0.0001%" if share > 0 else ">-0.0001%"
    shown = _rounded(share * 100)
    return ">99.9%" if shown == "100" and share < 1 else f"{shown}%"


def percent_change(share: Number) -> str:
    """Write by which share something grew or shrank: +12.3%, -45.6%; 0% if by nothing."""
    if 0 < abs(share) < LEAST_SHARE:
        return percent(abs(share))
    return f"{'+' if share > 0 else ''}{percent(share)}"


def whole_percent(share: Number) -> str:
    """Write a share as a whole percentage, with no false 0 or 100: for narrow places."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def three_digits(number: Number) -> str:
    """Write a number with three digits, or all before the point: 1.23, 45.6, 1,234."""
    if abs(number) < NOTHING:
        return "0"
    return f"{number:,.0f}" if abs(number) >= 99.95 else f"{number:.3g}"


def signed(number: Number) -> str:
    """Write a difference with three digits and its sign, such as `+0.12`; `0` if there is none."""
    if not number:
        return "0"
    if abs(number) < ROUNDING:
        return f"{number:+.0e}"
    return f"{'+' if number > 0 else ''}{three_digits(number)}"


def bits(number: Number) -> str:
    """Write a surprise, an entropy or a loss: `2.34 bits`, and `<0.001 bits` of next to nothing."""
    return "<0.001 bits" if 0 < abs(number) < 0.001 else f"{_rounded(number)} bits"


def fair_draw(entropy_bits: Number) -> str:
    """Write among how many tokens a fair draw would be as open, as in `7.94 tokens`."""
    shown = _rounded(2 ** float(entropy_bits))
    return "1 token" if shown == "1.00" else f"{shown} tokens"


def _rounded(number: Number) -> str:
    """Write three significant digits, zeros at the end included, or all before the point."""
    rounded = float(f"{float(number):.3g}")
    if abs(rounded) >= 100 or not rounded:
        return f"{float(number) + 0.0:,.0f}"
    return f"{rounded:.{2 - math.floor(math.log10(abs(rounded)))}f}"


def surprise(log_prob: Number) -> float:
    """Return a natural log-probability as a surprise in bits: 0 of what is certain."""
    return -float(log_prob) / math.log(2) + 0.0


def byte_unit(n_bytes: Number) -> tuple[float, str]:
    """Return the unit in which a number of bytes is best read: its bytes and its name."""
    for size, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= size:
            return size, name
    return 1.0, "bytes"


def size_text(n_bytes: Number) -> str:
    """Write a number of bytes: 999 bytes, 1.23 kB, 45.6 GB."""
    unit, name = byte_unit(n_bytes)
    return f"{three_digits(n_bytes / unit)} {name}" if unit > 1 else f"{n_bytes:,.0f} {name}"


def operations(n_flops: Number) -> str:
    """Write a number of floating-point operations: 999 FLOP, 1.23 kFLOP, 45.6 TFLOP."""
    for unit, name in ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP")):
        if n_flops >= unit:
            return f"{three_digits(n_flops / unit)} {name}"
    return f"{n_flops:,.0f} FLOP"


def plural(n: float | np.integer, noun: str, nouns: str | None = None) -> str:
    """Return the form of a noun that goes with a number.

    Args:
        n: The number.
        noun: The noun in the singular.
        nouns: Its plural, where that is more than an s at the end.
    """
    return noun if n == 1 else nouns or f"{noun}s"


def counted(n: int | np.integer, noun: str, nouns: str | None = None) -> str:
    """Write how many there are of something: `1 token`, `2 tokens`, `1,234 tokens`.

    Args:
        n: How many.
        noun: What is counted, in the singular.
        nouns: Its plural, where that is more than an s at the end.
    """
    return f"{n:,} {plural(n, noun, nouns)}"
