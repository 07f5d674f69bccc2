import math
import re

import pytest

from gradtop.sources.fields.number import NUMBER, is_missing, parse


@pytest.mark.parametrize(
    ("token", "value", "unit"),
    [
        ("2.345678E+00", 2.345678, ""),
        ("1e-5", 1e-5, ""),
        (".5", 0.5, ""),
        ("+0.12", 0.12, ""),
        ("1,046,012", 1046012.0, ""),
        ("1,234.5", 1234.5, ""),
        ("'4.324'", 4.324, ""),
        ('"1.25e-05"', 1.25e-5, ""),
        ("np.float64(0.0012)", 0.0012, ""),
        ("tensor(2.25, device='cuda:0')", 2.25, ""),
        ("tensor([1.2])", 1.2, ""),
        ("Array(1.2, dtype=float32)", 1.2, ""),
        ("[9.7e-06, 8e-06]", 9.7e-6, ""),
        ("12.3ms", 12.3, "ms"),
        ("38.21%", 38.21, "%"),
        ("3.2k", 3.2, "k"),
        ("51.2TFLOPS", 51.2, "TFLOPS"),
        ("1:02:03", 3723.0, "s"),
        ("2 days, 1:00:00", 176400.0, "s"),
    ],
)
def test_a_token_is_read_with_its_unit(token: str, value: float, unit: str) -> None:
    found = parse(token)
    assert found is not None
    assert (found.value, found.unit) == (value, unit)


@pytest.mark.parametrize(("token", "value"), [("inf", math.inf), ("-Infinity", -math.inf), ("'NaN'", math.nan)])
def test_non_finite_values_are_values(token: str, value: float) -> None:
    found = parse(token)
    assert found is not None
    assert repr(found.value) == repr(value)


def test_nan_may_have_a_unit_glued_to_it() -> None:
    found = parse("nanms")
    assert found is not None
    assert math.isnan(found.value)
    assert found.unit == "ms"


@pytest.mark.parametrize("token", ["mse", "1.2.3", "2026-11-23", "nano", "1,23", "0x10", "", "True"])
def test_other_words_are_no_numbers(token: str) -> None:
    assert parse(token) is None


@pytest.mark.parametrize("token", ["n/a", "N/A", "NA", "-", "None", "null", "???", " "])
def test_missing_is_told_from_text(token: str) -> None:
    assert is_missing(token)
    assert parse(token) is None


@pytest.mark.parametrize(
    ("token", "below"),
    [
        ("0.000", 0.0005),
        ("0.0000000", 5e-8),
        ("-0.00", 0.005),
        ("0.0", 0.0),
        ("0", 0.0),
        ("0.000E+00", 0.0),
        ("0.001", 0.0),
    ],
)
def test_a_zero_with_fixed_decimals_hides_what_was_rounded_away(token: str, below: float) -> None:
    found = parse(token)
    assert found is not None
    assert found.below == pytest.approx(below)


def test_a_number_of_many_digits_is_read_to_its_end() -> None:
    assert re.fullmatch(rf"{NUMBER}!", 20_000 * "1") is None
