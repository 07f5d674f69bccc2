import math

import pytest

from gradtop.series import Series, SeriesView
from gradtop.view.unit import unit_of


def series(*values: float) -> SeriesView:
    made = Series("x")
    made.extend(range(len(values)), values)
    return made.view()


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("rss_bytes", [13_314_398_617.0], "12.40 GiB"),
        ("memory_allocated_bytes", [3e6, 2e6], "1.907 MiB"),
        ("swap_bytes", [0.0], "0 B"),
        ("step_time_s", [1.14, *[0.00498] * 30], "4.980 ms"),
        ("data_time_s", [0.0], "0 s"),
        ("step_time_s", [1.617], "1.617 s"),
        ("epoch_time_s", [600.0], "10.00 min"),
        ("time/time_elapsed", [8280.0], "2.300 h"),
        ("forward_ms", [12.5], "12.50 ms"),
        ("forward (ms)", [12.5], "12.50 ms"),
        ("mfu", [0.382], "38.20 %"),
        ("train/clip_fraction", [0.0584], "5.840 %"),
        ("gpu_pct", [97.5], "97.50 %"),
        # Names that tell of no unit, or of none that values could be turned into.
        ("update_ratio", [1e-3, 0.0012], "0.001200"),
        ("policy_ratio", [1.0, 1.02], "1.020"),
        ("tokens_per_s", [25696.5], "25,696"),
        ("loss_s", [0.5], "0.5000"),
        ("accuracy", [0.5958], "0.5958"),
        # Whole numbers are counts.
        ("samples", [4.0, 800.0], "800"),
        ("loss", [4.0, 3.5, 3.0], "3"),
        ("loss", [4.2, 3.5, 3.0], "3.000"),
        ("step_time_s", [1.0, math.nan], "NaN"),
        ("rss_bytes", [math.inf], "Inf"),
    ],
)
def test_a_value_is_shown_in_the_unit_that_its_name_tells_of(name: str, values: list[float], shown: str) -> None:
    assert unit_of(name, series(*values)).text(values[-1]) == shown


def test_a_rate_that_somebody_chose_has_no_zeros_at_its_end() -> None:
    assert unit_of("lr", series(1e-3, 6e-4), chosen=True).text(6e-4) == "6e-4"
