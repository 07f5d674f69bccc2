import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import lines_of, read, rows_of

from gradtop.record import End, Event, Restart, Rows, RunFacts, encode_metrics
from gradtop.sources.reader import Block
from gradtop.sources.rows.jsonl import RowReader
from gradtop.sources.rows.second import second_writer

STREAM = """\
{"type":"run","schema":"gradtop/1","run":"r","train":{"total_steps":5}}
{"type":"metrics","step":1,"time":1795444567.5,"loss":2.5,"grad_norm":"NaN"}
{"type":"layer_names","id":"a","names":["module.embed","layers.0"]}
{"type":"layers","step":1,"names":"a","grad_norm":[null,"Infinity"],"weight_norm":[1,0]}
{"type":"event","step":1,"event":"alarm","message":"m"}
{"type":"weather","step":1}
{"type":"end","step":1}
"""


def test_the_own_stream_is_read_record_by_record() -> None:
    reader = RowReader()
    run, metrics, layers, event, end = read(reader, STREAM)
    assert reader.format == "gradtop"
    assert isinstance(run, RunFacts)
    assert run.train.total_steps == 5
    assert isinstance(metrics, Rows)
    assert list(metrics.columns) == ["time", "loss", "grad_norm"]
    assert isinstance(layers, Rows)
    assert layers.columns == {
        "grad_norm/layers.0": (math.inf,),
        "weight_norm/embed": (1.0,),
        "weight_norm/layers.0": (0.0,),
    }
    assert isinstance(event, Event)
    assert event.line == 5
    assert isinstance(end, End)
    assert reader.account.rejected == {}
    assert reader.account.skipped.samples == [(6, '{"type":"weather","step":1}')]


def launched(**facts: object) -> str:
    return json.dumps({"type": "run", "schema": "gradtop/1", **facts}) + "\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"session": 1, "pid": 7, "host": "n1"}, {"session": 2, "pid": 7, "host": "n1"}),
        ({"session": 1, "pid": 7, "host": "n1"}, {"session": 1, "pid": 8, "host": "n1"}),
        ({"pid": 7, "host": "n1"}, {"pid": 7, "host": "n2"}),
        ({"time": 1.0}, {"time": 2.0}),
    ],
)
def test_the_record_of_another_launch_begins_a_session(first: dict[str, object], second: dict[str, object]) -> None:
    rows = ['{"step":1,"loss":2}\n', '{"step":2,"loss":1}\n']
    found = read(RowReader(), launched(**first) + rows[0] + launched(**second) + rows[1])
    assert [type(record) for record in found] == [RunFacts, Rows, Restart, RunFacts, Rows]
    assert found[2] == Restart(reason="relaunched", line=3)


@pytest.mark.parametrize("second", [{}, {"session": 1}, {"pid": 7, "run": "r"}, {"train": {"total_steps": 9}}])
def test_a_record_that_adds_to_what_is_known_of_a_launch_begins_none(second: dict[str, object]) -> None:
    first = {"session": 1, "pid": 7, "time": 1.0}
    found = read(RowReader(), launched(**first) + launched(**second) + launched(**first))
    assert [type(record) for record in found] == [RunFacts, RunFacts, RunFacts]


def test_values_per_layer_come_with_the_names_that_were_written_last() -> None:
    names = '{"type":"layer_names","id":"n1","names":["a","b"]}\n'
    anew = '{"type":"layer_names","id":"n1","names":["a","b","c"]}\n'
    units = '{"type":"layer_names","id":"n2","names":["a.act"]}\n'
    text = (
        f'{names}{units}{{"type":"metrics","step":1,"time":1795444567,"loss":2}}\n'
        '{"type":"layers","step":1,"time":1795444567,"names":"n1","grad_norm":[1,null],"weight_norm":[3,4]}\n'
        '{"type":"layers","step":1,"time":1795444567,"names":"n2","dead_fraction":[0.5]}\n'
        f'{anew}{{"type":"layers","step":2,"names":"n1","grad_norm":[0,"NaN",2]}}\n'
    )
    rows = rows_of(read(RowReader(), text))
    assert rows[:3] == [
        {"step": 1, "time": 1795444567, "loss": 2},
        {"step": 1, "grad_norm/a": 1, "weight_norm/a": 3, "weight_norm/b": 4},
        {"step": 1, "dead_fraction/a.act": 0.5},
    ]
    assert str(rows[3]) == str({"step": 2.0, "grad_norm/a": 0.0, "grad_norm/b": math.nan, "grad_norm/c": 2.0})


def test_rows_between_those_of_layers_are_read_in_blocks_in_their_order() -> None:
    lines = ['{"type":"run","session":1,"run":"r"}', '{"type":"layer_names","id":"a","names":["x","y"]}']
    for i in range(1, 300):
        lines.append(encode_metrics(i, {"loss": 1 / i}, 1795444567.0 + i).decode().strip())
        if i % 10 == 0:
            lines.append(f'{{"type":"layers","step":{i},"names":"a","grad_norm":[{i},0.5],"weight_norm":[1.5,null]}}')
    text = "".join(f"{line}\n" for line in lines)
    block = RowReader().feed_block(Block(1, len(lines), text.encode()))
    assert rows_of(block) == rows_of(read(RowReader(), text))
    told = [(list(record.steps), list(record.lines)) for record in block if isinstance(record, Rows)]
    assert told[-2:] == [([290], [321]), ([*range(291, 300)], [*range(322, 331)])]


def test_runs_in_one_directory_are_called_after_their_processes() -> None:
    facts = read(RowReader("n1-42"), launched(run="gpt2") + launched(pid=7))
    assert [record.run for record in facts if isinstance(record, RunFacts)] == ["gpt2 (n1-42)", None]


@pytest.mark.parametrize(
    ("name", "writer"),
    [("metrics.n1-42.jsonl", "n1-42"), ("metrics.rank3.gpu-box-7.jsonl", "gpu-box-7"), ("metrics.jsonl", ""),
     ("metrics.rank3.jsonl", "")],
)  # fmt: skip
def test_a_second_stream_names_its_writer(name: str, writer: str) -> None:
    assert second_writer(name) == writer


def test_a_newer_schema_is_refused_with_all_that_follows() -> None:
    reader = RowReader()
    assert read(reader, '{"type":"run","schema":"gradtop/2"}\n{"step":1,"loss":2}\n') == []
    (reason,) = reader.account.rejected
    assert "gradtop/2 is newer" in reason
    assert reader.account.rejected[reason].count == 2


def test_flat_rows_of_one_shape_come_in_one_block() -> None:
    text = "".join(json.dumps({"step": i, "loss": 1 / i, "foo": i}) + "\n" for i in range(1, 501))
    blocks = [record for record in read(RowReader(), text) if isinstance(record, Rows)]
    assert sum(len(block) for block in blocks) == 500
    assert len(blocks) <= 2
    assert [line for block in blocks for line in block.lines] == list(range(1, 501))


def test_nested_objects_are_flat_and_wrappers_leave_no_trace() -> None:
    rows = rows_of(read(RowReader(), '{"step":5,"data":{"actor/lr":1e-6,"opt":{"x":2}},"metrics":{"loss":1}}\n'))
    assert rows == [{"step": 5, "lr": 1e-6, "opt/x": 2, "loss": 1}]


def test_a_large_time_is_a_wall_clock_and_a_small_one_a_duration() -> None:
    rows = rows_of(read(RowReader(), '{"step":1,"loss":1,"time":1795444567}\n{"step":2,"loss":1,"time":0.31}\n'))
    assert rows == [{"step": 1, "loss": 1, "time": 1795444567}, {"step": 2, "loss": 1, "step_time_s": 0.31}]


def test_a_date_is_a_time() -> None:
    (row,) = rows_of(read(RowReader(), '{"step":1,"loss":1,"timestamp":"2026-11-23T12:00:00Z"}\n'))
    assert row["time"] == 1795435200.0


def test_a_planned_total_is_a_fact_and_no_metric() -> None:
    facts, rows = read(RowReader(), '{"current_steps":10,"total_steps":375,"loss":"1.5","eval_loss":null}\n')
    assert isinstance(facts, RunFacts)
    assert facts.train.total_steps == 375
    assert rows_of([rows]) == [{"step": 10, "loss": 1.5}]


def test_a_validation_row_that_counts_epochs_is_put_at_the_last_step() -> None:
    text = '{"step":60,"epoch":10,"loss":1}\n{"step":10,"coco/AP":0.3}\n{"step":61,"epoch":11,"loss":1}\n'
    assert [row["step"] for row in rows_of(read(RowReader(), text))] == [60, 60, 61]


def test_rows_without_a_step_count_epochs_or_themselves() -> None:
    assert rows_of(read(RowReader(), '{"train_lr":0.1,"train_loss":2,"epoch":0}\n')) == [
        {"epoch": 0, "lr": 0.1, "loss": 2}
    ]
    assert rows_of(read(RowReader(), '{"loss":2}\n{"loss":1}\n')) == [{"row": 1, "loss": 2}, {"row": 2, "loss": 1}]


def test_settings_without_a_step_are_facts_and_no_row() -> None:
    reader = RowReader()
    (facts,) = read(reader, '{"lr":0.1,"batch_size":32,"config":"model = dict()"}\n{"seed":3,"env_info":"x"}\n')
    assert isinstance(facts, RunFacts)
    assert (facts.train.lr_max, facts.train.batch_size) == (0.1, 32)
    assert reader.account.rejected == {}
    assert reader.account.skipped.count == 1


HOSTILE = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"step":1,"loss":' + b"9" * 5000 + b"}",
    b'[{"step":1}]',
    b'{"a":1}{"a":2}',
    b"\xff\xfe",
    b"null",
    b"{}",
    b'{"step":NaN,"loss":1}',
    b'{"step":true,"loss":1}',
    b'{"type":"event"}',
    b'{"type":"layers","step":1,"names":"?","grad_norm":[1]}',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_is_one_counted_rejection(line: bytes) -> None:
    reader = RowReader()
    assert read(reader, line) == []
    assert [tally.count for tally in reader.account.rejected.values()] == [1]
    assert all(len(reason) < 120 for reason in reader.account.rejected)


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        (b'{"step":1,"loss":1e999}', math.inf),
        (b'{"step":1,"loss":-Infinity}', -math.inf),
        (b'{"step":1,"loss":1,"loss":2}', 2.0),
        (b'{"step":1,"\\ud800":1,"loss":2}', 2.0),
        (b'\0\0{"step":1,"loss":2}\r', 2.0),
        ('{"step":1,"loss":2,"note":"a\u2028b"}'.encode(), 2.0),
    ],
)
def test_odd_lines_that_can_be_read_are_read(line: bytes, loss: float) -> None:
    (row,) = rows_of(read(RowReader(), line))
    assert row["loss"] == loss


def test_a_negative_step_is_none_among_others() -> None:
    reader = RowReader()
    rows = rows_of(read(reader, "".join(f'{{"step": {s}, "loss": 2.0}}\n' for s in (-1, 0, 1, *range(2, 90), -1, 90))))
    assert [row["step"] for row in rows] == list(range(91))
    tally = reader.account.rejected["the step is negative"]
    assert sorted(line for line, _ in tally.samples) == [1, 92]


@pytest.mark.parametrize("rows", [3, 2000])
def test_steps_that_are_all_negative_are_steps(rows: int) -> None:
    reader = RowReader()
    found = read(reader, "".join(f'{{"step": {s}, "loss": 2.0}}\n' for s in range(-rows, 0)))
    assert [row["step"] for row in rows_of(found)] == list(range(-rows, 0))
    assert reader.account.rejected == {}


def test_what_is_no_object_is_said_in_words() -> None:
    reader = RowReader()
    read(reader, 'null\n3\n"a"\ntrue\n{"step": 1, "loss": 2.0}\n')
    words = ("null", "a number", "a string", "true or false")
    assert list(reader.account.rejected) == [f"not an object: {word}" for word in words]


def test_a_bare_nan_costs_no_row_of_its_batch() -> None:
    lines = [json.dumps({"step": i, "loss": math.nan if i == 300 else i}) for i in range(1, 1001)]
    rows = rows_of(read(RowReader(), "\n".join(lines)))
    assert [row["step"] for row in rows] == list(range(1, 1001))
    assert [row["step"] for row in rows if math.isnan(row["loss"])] == [300]


ODD_LINES = st.one_of(
    st.builds(lambda step, loss: encode_metrics(step, {"loss": loss}).strip(), st.integers(0, 9), st.floats()),
    st.builds(
        lambda step, loss: encode_metrics(step, {"loss": loss, "lr": 0.1}).strip(), st.integers(0, 9), st.floats()
    ),
    st.builds(
        lambda step, epoch, name: json.dumps({"step": step, "epoch": epoch, name: 1.5}).encode(),
        st.integers(0, 9),
        st.integers(0, 2),
        st.sampled_from(["loss", "val_loss", "lr"]),
    ),
    st.builds(lambda step: json.dumps({"step": step, "coco/AP": 0.5}).encode(), st.integers(0, 3)),
    st.builds(
        lambda v: json.dumps({"step": 3, "loss": v, "x": 1}).encode(), st.floats() | st.none() | st.text(max_size=3)
    ),
    st.builds(lambda v: json.dumps({"step": 3, "time": v, "mfu": 45.0}).encode(), st.sampled_from([0.5, 1.8e9])),
    st.binary(max_size=12).filter(lambda b: b"\n" not in b),
)


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(ODD_LINES, max_size=40), st.integers(1, 7))
def test_rows_are_the_same_however_they_arrive(lines: list[bytes], repeats: int) -> None:
    data = b"\n".join(line for line in lines for _ in range(repeats * 30))
    at_once, one_by_one = RowReader(), RowReader()
    together, singly = rows_of(read(at_once, data)), rows_of(read(one_by_one, data, portion=1))
    assert repr(together) == repr(singly)
    assert {r: t.count for r, t in at_once.account.rejected.items()} == {
        r: t.count for r, t in one_by_one.account.rejected.items()
    }
    counted = sum(t.count for t in (*at_once.account.rules.values(), *at_once.account.rejected.values()))
    assert counted + at_once.account.skipped.count == len(lines_of(data))
