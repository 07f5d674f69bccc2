"""Samples of the machine: what the wire keeps, what it refuses, and what a run remembers of them."""

import json
import math

import pytest

from gradtop.errors import RecordError
from gradtop.machine import Gpu, GpuProcess, Host, Machine, MachineView, Process, Worker
from gradtop.record import Rows, decode_object, encode, typed
from gradtop.sources.reader import Line
from gradtop.sources.rows.jsonl import RowReader

FULL = Machine(
    time=1_700_000_000.5,
    gpus=(
        Gpu(
            index=0,
            uuid="GPU-1",
            name="Test GPU",
            utilization=0.97,
            memory_used_bytes=62 * 2**30,
            throttle_reasons=0x44,
            processes=(GpuProcess(pid=4242, memory_bytes=2**34, ours=True), GpuProcess(pid=7, host_pid=True)),
            mig=(Gpu(index=1, memory_total_bytes=2**33),),
            absent={"fan": "not supported"},
        ),
        Gpu(index=1, problem="lost"),
    ),
    driver="595.10",
    cuda="13.1",
    process=Process(
        pid=4242, state="running", workers=(Worker(pid=4250, state="sleeping"),), worker_count=1, gpus=(0,)
    ),
    host=Host(cpu=0.25, load=3.5, absent={"swap_used_bytes": "no permission"}),
)


def test_a_sample_round_trips() -> None:
    line = encode(FULL)
    assert json.loads(line)["type"] == "machine"
    assert typed(decode_object(line)) == FULL


def test_what_is_not_known_is_not_written() -> None:
    assert json.loads(encode(Machine(time=1.0, gpus=(Gpu(index=3),)))) == {
        "type": "machine", "time": 1.0, "gpus": [{"index": 3}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("utilization", 1.01), ("utilization", -0.1), ("utilization", "NaN"), ("utilization", 42949672.95),
        ("fan", 4294967295), ("temperature_c", 4294967295), ("power_w", 1e999), ("memory_used_bytes", -1),
        ("memory_total_bytes", 2**64 - 1), ("performance_state", 32), ("name", "x" * 401), ("utilization", True),
        ("processes", [{"pid": 0}]), ("processes", [{"pid": 2**32 - 1}]), ("mig", [{"index": 0, "utilization": 2}]),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(RecordError, match=field):
        typed({"type": "machine", "time": 1.0, "gpus": [{"index": 0, field: value}]})


@pytest.mark.parametrize(
    "line", [b'{"type":"machine"}', b'{"type":"machine","time":"NaN"}', b'{"type":"machine","time":-1}']
)
def test_a_sample_without_a_time_is_none(line: bytes) -> None:
    with pytest.raises(RecordError, match="time"):
        typed(decode_object(line))


def test_a_later_version_may_say_more() -> None:
    found = typed({"type": "machine", "time": 1.0, "gpus": [{"index": 0, "smell": "burnt"}], "room": {"c": 31}})
    assert found == Machine(time=1.0, gpus=(Gpu(index=0),))


def test_samples_are_read_back_from_a_stream_with_their_lines() -> None:
    reader = RowReader()
    data = [b'{"type":"metrics","step":1,"loss":2.0}', encode(FULL).strip(), b'{"type":"machine","time":-1}']
    rows, sample = reader.feed([Line(i + 1, text) for i, text in enumerate(data)])
    assert isinstance(rows, Rows)
    assert isinstance(sample, Machine)
    assert (sample.line, sample.gpus, reader.format) == (2, FULL.gpus, "gradtop")
    assert sum(tally.count for tally in reader.account.rejected.values()) == 1


def test_a_trace_has_a_hole_where_a_value_is_absent() -> None:
    view = MachineView((FULL, Machine(time=2.0, line=9)))
    assert view.gpu_trace(0, "utilization")[0] == 0.97
    assert all(math.isnan(view.gpu_trace(index, "utilization")[1]) for index in (0, 1, 7))
    assert view.trace(lambda sample: sample.host.load if sample.host else None)[0] == 3.5
    assert view.recorded
