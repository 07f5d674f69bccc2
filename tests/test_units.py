import math

import pytest

from gradtop import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.21449, "3.214"),
        (0.0123, "0.01230"),
        (2e-7, "2e-7"),
        (5.04e-7, "5.04e-7"),
        (0.00099996, "0.001000"),
        (0.00099, "9.9e-4"),
        (1234.5, "1,234"),
        (123456.0, "123,456"),
        (1234567.0, "1.235e6"),
        (-8.23, "-8.230"),
        (0.0, "0"),
        (math.nan, "NaN"),
        (math.inf, "Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_number_keeps_significant_digits_and_names_the_non_finite(value: float, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize("value", [1.5e-320, 9.9999e-5, 12.5, 99999.96, 1e300, -3e-12])
def test_number_reads_back_as_what_it_shows(value: float) -> None:
    assert float(units.number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "text"), [(1432, "1,432"), (0.25, "0.25"), (1e6, "1,000,000"), (1 / 3, "0.333"), (1e-9, "1e-9")]
)
def test_count(value: float, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(980, "980"), (9800, "9,800"), (19560, "19.6k"), (1.2e6, "1.2M"), (999999, "1M"), (999400, "999k"), (3e13, "30T")],
)
def test_short_count(value: float, text: str) -> None:
    assert units.short_count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0s"),
        (45, "45s"),
        (90, "1m30s"),
        (120, "2m"),
        (5940, "1h39m"),
        (183600, "2d3h"),
        (-5, "0s"),
        (math.nan, "?"),
    ],
)
def test_duration_shows_two_units(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (2.9, "now"),
        (4, "4s"),
        (14, "10s"),
        (59, "55s"),
        (119, "1m"),
        (7300, "2h"),
        (-3, "now"),
        (999 * 86400, "999d"),
        (1111 * 86400, "3y"),
        (1e300, "999y"),
    ],
)
def test_age_is_coarse(seconds: float, text: str) -> None:
    assert units.age(seconds) == text


def test_age_changes_at_most_fifteen_times_in_the_first_minute() -> None:
    assert len({units.age(t) for t in range(60)}) <= 15


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.0125, "1.2 %"),
        (0.07, "7 %"),
        (0.366, "36 %"),
        (0.9999, ">99.9 %"),
        (0.999, "99 %"),
        (1, "100 %"),
    ],
)
def test_percent_never_rounds_up_to_done(fraction: float, text: str) -> None:
    assert units.percent(fraction) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(3.1, "3.10 it/s"), (0.08, "12.5 s/it"), (0, "? it/s"), (12345, "12,345 it/s")]
)
def test_rate(rate: float, text: str) -> None:
    assert units.rate(rate) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "0.004"), (3e-4, "3e-4"), (65536, "65,536"), (1.0, "1"), (0, "0"), (1.342e-4, "1.342e-4")],
)
def test_a_setting_has_no_zeros_at_its_end(value: float, text: str) -> None:
    assert units.setting(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (512 * 2**20, "512 MiB"),
        (62.1 * 2**30, "62.1 GiB"),
        (80 * 2**30, "80 GiB"),
        (999.6 * 2**30, "0.976 TiB"),
        (2**60, "1 EiB"),
        (2**70, "1,024 EiB"),
    ],
)
def test_memory(size: float, text: str) -> None:
    assert units.memory(size) == text


@pytest.mark.parametrize(
    ("used", "total", "text"),
    [
        (62.1 * 2**30, 80 * 2**30, "62.1/80 GiB"),
        (0, 80 * 2**30, "0/80 GiB"),
        (1, 80 * 2**30, "<0.01/80 GiB"),
        (2**30, 2**31, "1/2 GiB"),
        (3, 0, "3/0 B"),
    ],
)
def test_memory_of_a_whole(used: float, total: float, text: str) -> None:
    assert units.memory_of(used, total) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0 B/s"),
        (0.2, "<1 B/s"),
        (512, "512 B/s"),
        (1000, "1 kB/s"),
        (310_000, "310 kB/s"),
        (99_600_000, "100 MB/s"),
        (1.23e9, "1.2 GB/s"),
        (1e15, "1 PB/s"),
    ],
)
def test_flow(rate: float, text: str) -> None:
    assert units.flow(rate) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.29, "29 %"), (0.97, "97 %"), (1.0, "100 %"), (0.0, "0 %")])
def test_whole_percent_is_what_was_measured(fraction: float, text: str) -> None:
    assert units.whole_percent(fraction) == text
