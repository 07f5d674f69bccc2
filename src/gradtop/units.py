"""Numbers to short strings: values, counts, durations, ages. Pure: no clock, no locale."""

import math

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float, digits: int = 4) -> str:
    """A metric value in `digits` significant digits: `3.214`, `0.01230`, `2e-7`, `NaN`, `Inf`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    if value == 0:
        return "0"
    # The exponent of the rounded value: 0.00099996 prints as 0.001, not as 1e-3.
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -3 <= power < max(6, digits):
        return f"{value:,.{max(digits - 1 - power, 0)}f}"
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{power}"


def exact(value: float) -> str:
    """A value with all its digits: `3.2139998`, `2e-07`, `12`, `NaN`."""
    if not math.isfinite(value):
        return number(value)
    return repr(value).removesuffix(".0")


def setting(value: float) -> str:
    """A value that somebody chose (a learning rate, a loss scale), without zeros at its end: `0.004`, `3e-4`."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def count(value: float) -> str:
    """A step or count: whole numbers with thousands separated, fractions with up to three decimals."""
    if not math.isfinite(value):
        return number(value)
    if value == math.floor(value):
        return f"{int(value):,}"
    return f"{value:,.3f}".rstrip("0") if abs(value) >= 0.0005 else number(value)


def short_count(value: float) -> str:
    """A count in at most about 6 characters: `980`, `9,800`, `19.6k`, `1.2M`."""
    if not math.isfinite(value):
        return number(value)
    for size, suffix in _LARGE:
        # The next unit begins where three digits of the smaller one would round up to it.
        if abs(value) >= 0.9995 * size and abs(value) >= 1e4:
            return f"{value / size:.3g}{suffix}"
    return count(value)


def duration(seconds: float) -> str:
    """A span of time in its two largest units: `45s`, `1m30s`, `1h39m`, `2d3h`; negative spans count as 0."""
    if not math.isfinite(seconds):
        return "?"
    left = max(0, round(seconds))
    for i, (size, unit) in enumerate(_UNITS):
        if left >= size:
            whole, rest = divmod(left, size)
            small = _UNITS[i + 1] if i + 1 < len(_UNITS) else None
            tail = f"{rest // small[0]}{small[1]}" if small and rest // small[0] else ""
            return f"{whole}{unit}{tail}"
    return "0s"


def age(seconds: float) -> str:
    """How old something is, in at most 4 characters that rarely change: `now`, `5s`, `30s`, `2m`, `3h`, `4d`, `3y`."""
    whole = max(0, int(seconds)) if math.isfinite(seconds) else 0
    if whole < 3:
        return "now"
    if whole < 60:
        return f"{whole}s" if whole < 5 else f"{whole - whole % 5}s"
    if whole >= 1000 * 86400:
        return f"{min(whole // (365 * 86400), 999)}y"
    size, unit = next((size, unit) for size, unit in _UNITS if whole >= size)
    return f"{whole // size}{unit}"


def percent(fraction: float) -> str:
    """A ratio as per cent; below 10 with one decimal, `<0.1 %` and `>99.9 %` instead of a rounded 0 or 100."""
    value = 100 * fraction
    if 0 < value < 0.1:
        return "<0.1 %"
    if 99.9 < value < 100:
        return ">99.9 %"
    text = f"{value:.1f}".removesuffix(".0") if value < 10 else f"{math.floor(value)}"
    return f"{text} %"


def rate(per_second: float, word: str = "it") -> str:
    """Steps per second, turned into seconds per step where that is the larger number: `3.1 it/s`, `12.5 s/it`.

    `word` is what is counted: `epoch`, `sample`.
    """
    if per_second <= 0 or not math.isfinite(per_second):
        return f"? {word}/s"
    return f"{number(per_second, 3)} {word}/s" if per_second >= 1 else f"{number(1 / per_second, 3)} s/{word}"


def memory(size: float) -> str:
    """Bytes in three digits of the fitting binary unit: `62.1 GiB`, `512 MiB`, `0 B`."""
    text, unit = _binary(size, size)
    return f"{text} {unit}"


def memory_of(used: float, total: float) -> str:
    """A part of so many bytes, in the unit of the whole: `62.1/80 GiB`."""
    text, unit = _binary(used, total)
    return f"{text}/{_binary(total, total)[0]} {unit}"


def _binary(size: float, whole: float) -> tuple[str, str]:
    """(`size` in the unit that fits `whole`, that unit); never 0 where there is something."""
    power = next((i for i in range(len(_BINARY) - 1) if whole < 999.5 * 1024.0**i), len(_BINARY) - 1)
    value = size / 1024.0**power
    if 0 < value < 0.01:
        return "<0.01", _BINARY[power]
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}", _BINARY[power]


def flow(bytes_per_s: float) -> str:
    """Bytes per second, with decimal units as disks and links are sold: `1.2 GB/s`, `310 kB/s`, `0 B/s`."""
    power = next((i for i in range(len(_DECIMAL) - 1) if bytes_per_s < 999.5 * 1000.0**i), len(_DECIMAL) - 1)
    value = bytes_per_s / 1000.0**power
    if power == 0 and 0 < value < 0.5:
        return "<1 B/s"
    return f"{value:,.0f} {_DECIMAL[power]}/s" if value >= 99.5 or power == 0 else f"{value:.2g} {_DECIMAL[power]}/s"


def whole_percent(fraction: float) -> str:
    """A ratio that was measured in whole per cent: `97 %`."""
    return f"{round(100 * fraction)} %"
