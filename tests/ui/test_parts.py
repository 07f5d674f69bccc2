import threading
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from rich.cells import cell_len
from staging import run, snapshot, staged, text
from textual.message import Message
from textual.strip import Strip

from gradtop.snapshot import Snapshot
from gradtop.ui.app import GradtopApp
from gradtop.ui.cells import apart, fit, shorten, width_of, wrap
from gradtop.ui.feed import UPDATE_S, Feed, FeedFailed, SnapshotReady
from gradtop.ui.palette import ascii_text
from gradtop.ui.widgets import box
from gradtop.ui.widgets.banner import composed
from gradtop.ui.widgets.canvas import Canvas
from gradtop.ui.widgets.header import fitted
from gradtop.view import Banner, Part, Tone


@pytest.mark.parametrize(
    "texts",
    [
        ("step 41",),
        ("╭─", " grad norm ", "⣀⡠⠤"),
        ("训练", "損失"),
        ("e\u0301",),
        ("e", "\u0301"),
        ("🇫🇷",),
        ("👩", "\u200d👧"),
        (),
    ],
)
def test_the_width_of_a_row_is_that_of_its_texts(texts: tuple[str, ...]) -> None:
    for _ in range(2):
        assert width_of([(text, "plain") for text in texts]) == sum(cell_len(text) for text in texts)


@pytest.mark.parametrize("width", range(12))
@pytest.mark.parametrize("name", ["layers.0.attn.q_proj", "训练损失很长的名字", "a训b练c损d失", ""])
def test_names_are_shortened_by_cells(name: str, width: int) -> None:
    assert cell_len(shorten(name, width)) <= width
    assert cell_len(fit(name, width)) == width


def test_long_names_keep_both_ends() -> None:
    assert shorten("layers.0.attn.q_proj", 11) == "layer…_proj"


@pytest.mark.parametrize("width", [2, 5, 17, 80])
def test_wrapped_lines_fit_and_lose_nothing(width: int) -> None:
    sentence = "The loss is NaN since step 351 训练损失训练损失 and-a-word-that-is-longer-than-a-line"
    lines = wrap(sentence, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == sentence.replace(" ", "")


def test_the_header_drops_parts_by_rank_and_keeps_the_name() -> None:
    parts = [
        Part("gradtop", 7, "brand"),
        Part("a-very-long-run-name-indeed", 0, "name"),
        Part("● live", 0),
        Part("eta 1h", 2),
    ]
    wide = "".join(t for t, _ in fitted(parts, 80))
    assert wide == " gradtop   a-very-long-run-name-indeed   ● live   eta 1h"
    assert "gradtop" not in "".join(t for t, _ in fitted(parts, 40))
    narrow = "".join(t for t, _ in fitted(parts, 24))
    assert "…" in narrow
    assert "● live" in narrow
    assert cell_len(narrow) <= 24


def test_the_verdict_stays_on_a_narrow_screen() -> None:
    state = Part("■ finished 17m ago", 0, "quiet", "■ finished")
    parts = [Part("gradtop", 8), Part("eyes/runs/run1", 0, "name"), Part(" INTERVENE ", 1), state, Part("step 9", 2)]
    assert "".join(t for t, _ in fitted(parts, 40)) == " eyes/…s/run1    INTERVENE    ■ finished"
    assert "INTERVENE" not in "".join(t for t, _ in fitted(parts, 24))


@pytest.mark.parametrize("most", [3, 4, 5, 8])
@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_a_banner_keeps_its_most_important_rows(width: int, most: int) -> None:
    view = Banner(
        Tone.WATCH, "WATCH", ("first sentence " * 10,), "2 of 4 reasons to act", ((True, "persists"),) * 4, "act", True
    )
    rows = composed(view, width, most)
    assert 3 <= len(rows) <= most
    assert {box.width_of(row) for row in rows} == {width}
    flat = ["".join(text for text, _ in row) for row in rows]
    assert "WATCH" in flat[0]
    assert "first sentence" in flat[1]
    assert most < 4 or any("Next: act" in line for line in flat)


def test_the_trend_and_the_marks_keep_their_meaning_in_ascii() -> None:
    assert ascii_text("▼ 2 % ▲ ◆ ↻ ░") == "v 2 % ^ * @ ,"


def test_ascii_text_is_ascii_and_as_wide() -> None:
    sample = "╭─ loss ● 训练 ✕ … → é ▲"
    assert ascii_text(sample).isascii()
    assert cell_len(ascii_text(sample)) == cell_len(sample)


@pytest.mark.parametrize("keys", [(), ("6",), ("r",), ("c",), ("question_mark",), ("left",)])
async def test_with_ascii_nothing_else_reaches_the_terminal(keys: tuple[str, ...]) -> None:
    async with staged(snapshot(run("训练")), ascii=True) as (app, pilot):
        await pilot.press(*keys)
        await pilot.pause()
        assert text(app).isascii()
        assert "KEEP TRAINING" in text(app) or keys not in ((), ("left",))


async def test_only_changed_cells_are_repainted() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        canvas = app.screen.query_one("#header", Canvas)
        canvas.paint([(("step 41", "plain"), (" " * 113, "plain"))])
        await pilot.pause()
        canvas.paint([(("step 42", "plain"), (" " * 113, "plain"))])
        app.screen._compositor.update_widgets({canvas})
        update = app.screen._compositor.render_partial_update()
        assert update is not None
        assert update.spans == [(0, 6, 7)]
        assert update.render_segments(app.console).count("2") >= 1
        assert "step" not in update.render_segments(app.console)


async def test_a_partial_update_is_the_whole_picture_where_it_changed() -> None:
    async with staged(snapshot(run())) as (app, _):
        compositor = app.screen._compositor
        asked = [canvas for canvas in app.screen.query(Canvas) if canvas.display and canvas.size.height > 3]
        for canvas in asked:
            compositor.update_widgets({canvas})
            compositor._dirty_regions = {canvas.region.crop_size((9, 2)).translate((3, 1))}
            update = compositor.render_partial_update()
            assert update is not None
            assert update.spans
            whole = compositor.render_strips()
            for y, first, last in update.spans:
                cells = [(x, strip) for x, strip in update.chops[y].items() if strip is not None]
                seen = "".join(strip.crop(max(first, x) - x, last - x).text for x, strip in cells if x < last)
                assert seen == whole[y].crop(first, last).text
        assert asked


@pytest.mark.parametrize("options", [{}, {"ascii": True}], ids=["as it is", "ascii"])
async def test_a_canvas_sends_what_the_toolkit_would(options: dict[str, Any]) -> None:
    async with staged(snapshot(run()), **options) as (app, pilot):
        for size in ((120, 36), (83, 31)):
            await pilot.resize_terminal(*size)
            for theme in ("light", "high-contrast"):
                app.set_theme(theme)
                await pilot.pause()
                asked = [canvas for canvas in app.screen.query(Canvas) if canvas.display and canvas.size.height]
                for canvas in asked:
                    whole = canvas.size.region
                    for part in (whole, whole.crop_size((5, 1)).translate((3, 0))):
                        own, plain = canvas.render_lines(part), canvas._styles_cache.render_widget(canvas, part)
                        assert [_cells(strip) for strip in own] == [_cells(strip) for strip in plain]
                assert asked


def _cells(strip: Strip) -> list[tuple[str, object]]:
    return [(char, segment.style) for segment in strip for char in segment.text]


async def test_an_equal_snapshot_repaints_nothing() -> None:
    shown = snapshot(run())
    async with staged(shown) as (app, pilot):
        app.screen._dirty_widgets.clear()
        app.post_message(SnapshotReady(shown))
        await pilot.pause()
        assert not app.screen._dirty_widgets
        assert not app.screen._compositor._dirty_regions


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_feed_reads_at_full_speed_and_posts_four_times_a_second() -> None:
    clock, polls, posted = Clock(), [0], list[Message]()

    def poll() -> Snapshot:
        polls[0] += 1
        if polls[0] == 100:
            feed.stop()
        return snapshot()

    def wait(timeout_s: float) -> None:
        clock.now += min(timeout_s, 0.05)

    feed = Feed(poll, wait, posted.append, 1.0, clock)
    feed.run()
    assert polls[0] == 100
    assert len(posted) == pytest.approx(clock.now / UPDATE_S, abs=2)


class Rests(threading.Event):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.now += timeout or 0.0
        return self.is_set()


def test_rows_that_can_wait_are_read_when_they_can_be_posted() -> None:
    clock, polls, posted = Clock(), [0], list[Message]()

    def poll() -> Snapshot:
        polls[0] += 1
        if polls[0] == 20:
            feed.stop()
        return snapshot()

    def wait(timeout_s: float) -> bool:
        clock.now += min(timeout_s, 0.05)
        return False

    feed = Feed(poll, wait, posted.append, 1.0, clock)
    feed._stopping = Rests(clock)
    feed.run()
    assert len(posted) == polls[0] == 20
    assert clock.now == pytest.approx(20 * UPDATE_S, abs=0.1)


def test_the_newest_snapshot_is_never_held_back_longer_than_an_update() -> None:
    clock, waits = Clock(), list[float]()

    def wait(timeout_s: float) -> None:
        waits.append(timeout_s)
        clock.now += 0.01 if len(waits) == 1 else timeout_s
        if len(waits) == 2:
            feed.stop()

    feed = Feed(snapshot, wait, lambda message: None, 5.0, clock)
    feed.run()
    assert waits[0] == 5.0
    assert waits[1] <= UPDATE_S


def test_what_comes_then_comes_once_and_an_update_after_the_first_run() -> None:
    shown = [snapshot(), snapshot(run(read=0.5)), *[snapshot(run())] * 3]
    done, clock = list[int](), Clock()

    def wait(timeout_s: float) -> None:
        clock.now += UPDATE_S
        if not shown:
            feed.stop()

    feed = Feed(lambda: shown.pop(0), wait, lambda message: None, 1.0, clock, then=lambda: done.append(len(shown)))
    feed.run()
    assert done == [1]


@pytest.mark.parametrize(("took_s", "every_s"), [(0.0, 0.25), (0.012, 0.3), (2.0, 0.4)])
def test_a_dear_screen_is_updated_less_often_but_twice_a_second(took_s: float, every_s: float) -> None:
    clock, posted, polls = Clock(), list[float](), [0]

    def poll() -> Snapshot:
        polls[0] += 1
        if polls[0] == 400:
            feed.stop()
        return snapshot()

    def post(message: Message) -> None:
        posted.append(clock.now)
        feed.shown(took_s)

    def wait(timeout_s: float) -> None:
        clock.now += min(timeout_s, 0.01)

    feed = Feed(poll, wait, post, 1.0, clock)
    feed.run()
    # The first one goes by what is usual: nothing was shown before.
    assert [b - a for a, b in pairwise(posted[1:])] == pytest.approx([every_s] * (len(posted) - 2), abs=0.011)
    assert len(posted) > 7


def test_a_failing_poll_is_posted() -> None:
    posted: list[Message] = []

    def poll() -> Snapshot:
        raise ValueError("broken")

    Feed(poll, lambda s: None, posted.append, 1.0).run()
    assert isinstance(posted[0], FeedFailed)
    assert str(posted[0].error) == "broken"


def test_only_the_newest_snapshot_in_the_queue_matters() -> None:
    assert SnapshotReady(snapshot()).can_replace(SnapshotReady(snapshot()))
    assert not SnapshotReady(snapshot()).can_replace(FeedFailed(ValueError()))


async def test_a_failing_poll_ends_the_app_with_its_error() -> None:
    app = await fails()
    assert app.return_code == 1


async def fails() -> GradtopApp:
    with suppress(ValueError):
        async with staged(snapshot(run())) as (app, pilot):
            app.post_message(FeedFailed(ValueError("broken")))
            await pilot.pause()
    return app


def test_names_that_are_cut_stay_different() -> None:
    names = ["experiment-a-seed-1-lr-3e-4-final", "experiment-a-seed-2-lr-3e-4-final", "short"]
    shown = apart(names, 16)
    assert shown[2] == "short"
    assert ["seed-1" in shown[0], "seed-2" in shown[1]] == [True, True]
    assert all(cell_len(text) <= 16 for text in shown)


def said(view: Banner, width: int, most: int) -> list[str]:
    return ["".join(text for text, _ in row).rstrip() for row in composed(view, width, most)]


LOUD = Banner(
    Tone.ACT,
    "INTERVENE",
    (
        "Grad norm Inf beside a finite loss at step 1 of a warm-up of 500 steps; no update can be trusted.",
        "Also: more.",
    ),
    "2 of 3 reasons to act",
    ((True, "persists"), (True, "not skipped"), (False, "loss affected")),
    "See whether the loss moves: with an infinite norm, clipping makes every update 0 or NaN.",
    True,
)


def test_on_a_small_screen_why_and_next_are_whole_and_the_criteria_stand_on_the_frame() -> None:
    assert said(LOUD, 80, 6) == [
        "╭─  INTERVENE  ─ 2 of 3 reasons to act ●●○ ─────────────────────── c checklist ╮",
        "│ Grad norm Inf beside a finite loss at step 1 of a warm-up of 500 steps; no   │",
        "│ update can be trusted. Also: more.                                           │",
        "│ Next: See whether the loss moves: with an infinite norm, clipping makes      │",
        "│ every update 0 or NaN.                                                       │",
        "╰──────────────────────────────────────────────────────────────────────────────╯",
    ]


def test_beside_a_long_reason_the_next_step_is_whole() -> None:
    why = (
        "The run died after step 16: the loss scale is at its minimum (line 24: “Exception: Current loss scale already "
        "at minimum - cannot decrease scale anymore. Exiting run.”). Also: NaN or Inf since step 1."
    )
    step = "Train in bf16 where the hardware can: it has the range of fp32 and needs no loss scale."
    view = Banner(Tone.ACT, "INTERVENE", (why,), "2 of 2 reasons to act", ((True, "died"),) * 2, step, True)
    assert said(view, 80, 7)[3:6] == [
        "│ anymore. Exiting run.”). Also: NaN or Inf since step 1.                      │",
        "│ Next: Train in bf16 where the hardware can: it has the range of fp32 and     │",
        "│ needs no loss scale.                                                         │",
    ]
    assert said(view, 80, 6)[3:5] == [
        "│ Next: Train in bf16 where the hardware can: it has the range of fp32 and     │",
        "│ needs no loss scale.                                                         │",
    ]


def test_on_a_large_screen_the_criteria_have_their_names() -> None:
    rows = said(LOUD, 120, 8)
    assert "● persists  ● not skipped  ○ loss affected" in rows[-3]
    assert rows[-2].startswith("│ Next: See whether")


@pytest.mark.parametrize(("width", "shown"), [(60, "2 of 3 reasons to act ●●○"), (40, "2 of 3 ●●○"), (24, "INTERVENE")])
def test_a_narrow_frame_keeps_as_much_of_the_criteria_as_fits(width: int, shown: str) -> None:
    assert shown in said(LOUD, width, 6)[0]
