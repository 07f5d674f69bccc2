import ast
from pathlib import Path

import pytest
from staging import EVIL, SIZES, finding, lines, run, snapshot, staged, text

from gradtop import ui
from gradtop.record import Rows
from gradtop.sources import SourceStatus
from gradtop.verdict import Judgement, Verdict

NAME = EVIL.replace("/", "_")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keys", [(), ("c",), ("r",), ("6",), ("enter",)])
async def test_hostile_text_is_shown_literally_and_harmlessly(
    tmp_path: Path, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    log = tmp_path / "train.log"
    log.write_text(f"loss: 1.0 {EVIL}\n[bold]not bold[/bold]\n")
    found = finding(message=EVIL)
    hostile = run(
        NAME,
        [Rows(steps=range(50), columns={NAME: [1.0] * 50})],
        findings=(found,),
        judgement=Judgement(Verdict.WATCH, EVIL, found, EVIL),
        sources=(SourceStatus(log, "text", size=10, problem=EVIL),),
    )
    async with staged(snapshot(hostile, notes=(EVIL,)), size) as (app, pilot):
        await pilot.press(*keys)
        await pilot.pause()
        shown = "".join(lines(app))
        assert "[@click=app.quit]x[" in shown or "[_bold]" in shown
        assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e" for ch in shown)
        assert "cm0gLXJm" not in shown
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                assert segment.style is None or "@click" not in segment.style.meta


async def test_a_note_without_runs_is_literal() -> None:
    async with staged(snapshot(notes=(EVIL,))) as (app, _):
        assert "[@click=app.quit]x[/]" in text(app)


MARKUP = {
    "Static",
    "Label",
    "notify",
    "from_markup",
    "from_ansi",
    "add_row",
    "Markdown",
    "RichLog",
    "OptionList",
    "Tree",
}


@pytest.mark.parametrize("path", sorted(Path(ui.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_no_widget_that_parses_markup_is_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in MARKUP, f"line {node.lineno}: {name} parses markup"
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            assert node.attr not in ("border_title", "border_subtitle", "tooltip", "placeholder"), f"line {node.lineno}"
