"""Numbers for people: as many digits as they mean, never more."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 3) -> str:
    """A number in about ``digits`` significant digits, with thousands separators and a real minus sign.

    >>> [number(v) for v in (0.41239, 12.3456, 20000, 0.000031, -1.5, float("nan"), None)]
    ['0.412', '12.3', '20,000', '3.1e−5', '−1.5', 'not a number', '–']
    """
    if value is None:
        return "–"
    value = float(value)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0:
        return "0"
    if value == round(value) and size < 1e9:
        text = f"{value:,.0f}"
    elif size < 1e-3 or size >= 1e9:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{trimmed(mantissa)}e{int(exponent)}"
    else:
        places = max(0, digits - 1 - math.floor(math.log10(size)))
        text = f"{value:,.{places}f}"
        text = trimmed(text) if size >= 1 else text
    return text.replace("-", "−")


def fixed(value: float | None, places: int = 3) -> str:
    """A score with a fixed number of decimals, so that cards and columns line up; else as ``number``.

    >>> fixed(0.5), fixed(123.456), fixed(None)
    ('0.500', '123', '–')
    """
    if value is None or not math.isfinite(value) or abs(value) >= 10 or 0 < abs(value) < 10.0**-places:
        return number(value)
    return f"{value:.{places}f}".replace("-", "−")


def short(value: float) -> str:
    """A tick label: 12k, 1.5M, 0.02, 1e−5.

    >>> [short(v) for v in (0, 12000, 1.5e6, 0.02, 1e-5, -3)]
    ['0', '12k', '1.5M', '0.02', '1e−5', '−3']
    """
    size = abs(value)
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if limit <= size < 1e12:
            unit = {"G": 1e9, "M": 1e6, "k": 1e3}[letter]
            return f"{value / unit:.4g}{letter}".replace("-", "−")
    if size and (size < 1e-3 or size >= 1e12):
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{trimmed(mantissa)}e{int(exponent)}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def trimmed(text: str) -> str:
    """A decimal without trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text
