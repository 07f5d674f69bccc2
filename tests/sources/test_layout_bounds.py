"""Blocks in portions, with pauses, in strange company and without end."""

import tracemalloc
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import SHARED, events_of, lines_of, read, rows_of
from test_layout_tables import BOXES, COLUMNS, FASTAI, MARKDOWN, SPACY, STABLE_BASELINES, ULTRALYTICS
from test_layouts import COMPOSER, COMPOSER_BATCHES, COMPOSER_FILE, COQUI, EPOCHS, HOME_MADE, OBJECTS, OLMO, OLMO_CORE

from gradtop.record import Record, Rows
from gradtop.sources.reader import Line
from gradtop.sources.text.reader import TextReader

BLOCKS = (OLMO, OLMO_CORE, COMPOSER, COMPOSER_BATCHES, COMPOSER_FILE, COQUI, HOME_MADE, EPOCHS, OBJECTS)
TABLES = (BOXES, COLUMNS, FASTAI, MARKDOWN, SPACY, STABLE_BASELINES, ULTRALYTICS)
CORPUS = SHARED / "corpus"


def merged(records: Sequence[Record]) -> dict[tuple[str, float], dict[str, str]]:
    """What a run keeps of rows: one for each step, by kind and step; as text, so that NaN equals itself."""
    found: dict[tuple[str, float], dict[str, str]] = {}
    for row in rows_of(records):
        kind = next(iter(row))
        found.setdefault((kind, row[kind]), {}).update({name: repr(value) for name, value in row.items()})
    return found


@given(text=st.sampled_from((*BLOCKS, *TABLES)), portion=st.integers(1, 40))
def test_portions_do_not_matter(text: str, portion: int) -> None:
    assert repr(rows_of(read(TextReader(), text, portion))) == repr(rows_of(read(TextReader(), text)))


@given(text=st.sampled_from((*BLOCKS, *TABLES)), pauses=st.sets(st.integers(1, 40)))
def test_pauses_do_not_matter(text: str, pauses: set[int]) -> None:
    """Wherever a writer stops for a while, every value gets to its step."""
    reader = TextReader()
    records: list[Record] = []
    for line in lines_of(text):
        records += reader.feed([line])
        if line.number in pauses:
            records += reader.idle()
    assert merged(records + reader.finish()) == merged(read(TextReader(), text))


@given(order=st.permutations(BLOCKS[:3] + TABLES[3:]))
def test_blocks_of_many_kinds_in_one_log(order: list[str]) -> None:
    together = rows_of(read(TextReader(), "starting\n".join(order)))
    assert len(together) == sum(len(rows_of(read(TextReader(), text))) for text in order)


def test_a_crash_within_a_block_is_one_of_its_step() -> None:
    records = read(
        TextReader(),
        """\
[step=10/100,epoch=0]
    train/CrossEntropyLoss=9.0
Traceback (most recent call last):
  File "a.py", line 3, in <module>
    loss = f(x)
ValueError: x
[step=20/100,epoch=0]
    train/CrossEntropyLoss=8.0
""",
    )
    (crash,) = events_of(records, "crash")
    assert (crash.step, crash.message) == (10, "ValueError: x")
    assert [(row["step"], row["loss"]) for row in rows_of(records)] == [(10, 9.0), (20, 8.0)]


def test_lines_between_blocks_are_read_for_themselves() -> None:
    text = "step 5: loss 9.5\n[step=10/100,epoch=0]\n    train/CE loss=9.0\nstep 15: loss 8.5\n"
    assert [(row["step"], row["loss"]) for row in rows_of(read(TextReader(), text))] == [(5, 9.5), (10, 9), (15, 8.5)]


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("[step=10/100,epoch=0]", "    layer {i}/CrossEntropyLoss={i}"),
        ("-----------\n| step | 1 |\n| loss | 2 |", "| name {i} | {i} |"),
        ("Step 10:", "  name {i}: {i}"),
        ("[metric][batch=1]: loss/train/total: 1", "[metric][batch=1]: name {i}: {i}"),
    ],
)
def test_a_block_of_thousands_of_metrics_is_bounded(head: str, line: str) -> None:
    text = "\n".join([head, *(line.format(i=i) for i in range(3_000))])
    blocks = [record for record in read(TextReader(), text) if isinstance(record, Rows)]
    assert sum(len(block.columns) for block in blocks) <= 2 * 500


JUNK: tuple[Callable[[int], str], ...] = (
    lambda i: f"| name {i} | {i} |",
    lambda i: "-" * (i % 100),
    lambda i: f'{{ "a{i}": {{',
    lambda i: f"[rank{i}]: [step={i}/9,epoch=0]",
    lambda i: f"[rank{i}]:     train/a{i}=1",
    lambda i: f"Epoch {i}",
    lambda i: f"  name {i}: {i}",
    lambda i: "step  loss  " + "  ".join(f"c{j}" for j in range(i % 200)),
)


@pytest.mark.parametrize("junk", [JUNK, *[pytest.param((each,), marks=pytest.mark.soak) for each in JUNK]])
def test_what_looks_like_blocks_without_end_takes_no_memory(junk: tuple[Callable[[int], str], ...]) -> None:
    reader = TextReader()
    lines = [Line(i, junk[i % len(junk)](i).encode()) for i in range(6_000)]
    reader.feed(lines[:3_000])
    tracemalloc.start()
    try:
        reader.feed(lines[3_000:])
        reader.idle()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1_500_000


def test_a_real_log_of_blocks_has_a_row_for_each() -> None:
    path = CORPUS / "ct01__trainer_0_log.txt"
    if not path.exists():
        pytest.skip(f"no real logs at {CORPUS}")
    rows = rows_of(read(TextReader(), path.read_bytes(), portion=500))
    trained = [row for row in rows if "grad_norm_0" in row]
    assert (len(trained), trained[0]["step"], trained[-1]["step"]) == (246, 1_000_025, 1_006_150)
    assert (trained[-1]["loss_1"], trained[-1]["lr"], trained[-1]["step_time_s"]) == (21.81317, 2e-4, 1.3919)
    assert not any("loss" in row for row in rows)
    assert {row["step"] for row in rows} == {row["step"] for row in trained}


def test_evaluations_without_a_training_are_no_rows() -> None:
    path = CORPUS / "cp01__logs.txt"
    if not path.exists():
        pytest.skip(f"no real logs at {CORPUS}")
    assert rows_of(read(TextReader(), path.read_bytes())) == []
