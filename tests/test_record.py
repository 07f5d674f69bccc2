"""The wire round-trips, keeps NaN, and refuses what it cannot read with a reason."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.errors import RecordError
from gradtop.record import (
    End,
    Event,
    LayerNames,
    RunFacts,
    Train,
    WireRecord,
    decode_object,
    encode,
    encode_metrics,
    number,
    typed,
)


def refuse_constant(name: str) -> float:
    raise AssertionError(f"{name} is not strict JSON")


@pytest.mark.parametrize(
    "record",
    [
        RunFacts(run="gpt2", train=Train(total_steps=10, lr_max=6e-4), semantics={"step": "optimizer"}),
        Event(event="skipped_step", level="warning", step=121, data={"loss_scale": 32768}),
        End(step=9, time=1.5),
        LayerNames(id="a1", names=("embed", "layers.0"), numel=(10, 20)),
    ],
)
def test_typed_records_round_trip(record: WireRecord) -> None:
    line = encode(record)
    assert line.endswith(b"\n")
    assert typed(decode_object(line)) == record


def test_facts_always_carry_their_schema() -> None:
    assert json.loads(encode(RunFacts(run="a")))["schema"] == "gradtop/1"


@given(
    st.dictionaries(st.text(min_size=1).filter(lambda k: k not in ("type", "step", "time")), st.floats(), max_size=5)
)
def test_metrics_are_strict_json_and_keep_every_value(values: dict[str, float]) -> None:
    line = encode_metrics(3, values, time=1.0)
    json.loads(line, parse_constant=refuse_constant)
    found = decode_object(line)
    for name, value in values.items():
        kept = number(found[name])
        assert kept is not None
        assert kept == value or (math.isnan(kept) and math.isnan(value))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a": NaN}', math.nan),
        (b'{"a": -Infinity}', -math.inf),
        (b'{"a": 1e999}', math.inf),
        (b'{"a": "NaN"}', math.nan),
    ],
)
def test_what_trainers_write_for_non_finite_is_read(line: bytes, expected: float) -> None:
    value = number(decode_object(line)["a"])
    assert value == expected or (value is not None and math.isnan(value) and math.isnan(expected))


@pytest.mark.parametrize(
    "line",
    [
        b"[1, 2]",
        b'"text"',
        b"3",
        b"",
        b"{",
        b'{"a":1}{"b":2}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_record_is_refused_with_a_reason(line: bytes) -> None:
    with pytest.raises(RecordError, match=r"not JSON|not an object: a"):
        decode_object(line)


def test_a_number_with_too_many_digits_is_refused_or_infinite() -> None:
    line = b'{"a": ' + b"9" * 5000 + b"}"
    try:
        found = number(decode_object(line)["a"])
    except RecordError:
        found = math.inf
    assert found == math.inf


def test_bytes_that_are_not_utf8_do_not_hide_the_numbers() -> None:
    assert decode_object(b'{"note": "\xff", "loss": 1.5}')["loss"] == 1.5


def test_unknown_types_are_not_ours() -> None:
    assert typed({"type": "something_new", "x": 1}) is None
    assert typed({"step": 1, "loss": 2.0}) is None


def test_a_newer_schema_is_refused_by_name() -> None:
    with pytest.raises(RecordError, match="gradtop/2 is newer"):
        typed({"type": "run", "schema": "gradtop/2"})


def test_a_record_that_does_not_fit_says_where() -> None:
    with pytest.raises(RecordError, match=r"pid"):
        typed({"type": "run", "pid": "not a number"})


def test_numbers_only() -> None:
    assert number(True) is None
    assert number("1.5") is None
    assert number(10**400) == math.inf
    assert number(None) is None
