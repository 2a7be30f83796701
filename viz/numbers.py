"""How are numbers written? Percentages, three digits, bytes, operations and counts with a noun."""

import math

import numpy as np

Number = int | float | np.integer | np.floating
"""As Python or NumPy has it."""


def percent(probability: Number) -> str:
    """Write a probability with three significant digits, and never a false 0 % or 100 %."""
    if probability in (0, 1):
        return f"{probability * 100:.0f} %"
    if probability < 1e-6:
        return f"{probability * 100:.0e} %"
    digits = max(1, 2 - math.floor(math.log10(probability * 100)))
    shown = f"{probability * 100:.{digits}f}"
    return ">99.9 %" if float(shown) == 100 else f"{shown} %"


def whole_percent(probability: Number) -> str:
    """Write a probability as a whole percentage, with no false 0 or 100: for narrow places."""
    if 0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{probability:.0%}"


def three_digits(number: Number) -> str:
    """Write a number with three digits, or all before the point: 1.23, 45.6, 1,234."""
    return f"{number:,.0f}" if abs(number) >= 99.95 else f"{number:.3g}"


def signed(number: Number) -> str:
    """Write a difference, such as `+0.1200`; what is only rounding in its order of magnitude."""
    if number and abs(number) < 5e-5:
        return f"{number:+.0e}"
    return f"{number:+.4f}"


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


def plural(n: int | np.integer, noun: str, nouns: str | None = None) -> str:
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
