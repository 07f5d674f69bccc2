"""One layer in full: its curve, its numbers, and what was found about it."""

import math
from collections.abc import Iterator

from gradtop import units
from gradtop.clean import clean
from gradtop.finding import FindingState
from gradtop.view.charts import Chart
from gradtop.view.checklist import title
from gradtop.view.entry import Entry
from gradtop.view.layers.heat import NAME_CHARS, LayersView, layers_of


def layer_chart(view: LayersView, key: str) -> Chart | None:
    """The curve of a layer, of the first of them where the line is a folded module."""
    row = next((row for row in view.rows if row.key == key), None)
    if row is None or view.grid is None or view.family is None:
        return None
    place = row.members[0]
    name = clean(view.grid.names[place], NAME_CHARS)
    newest = float(view.grid.newest.values[place])
    first, last = view.window
    return Chart(
        name=f"{view.family.name}/{view.grid.names[place]}",
        label=name,
        value=_now(view, place),
        note=view.family.label,
        rows=int(view.grid.tally.count[place]),
        data=view.grid.layer(place),
        first_step=first,
        last_step=last,
        log=view.family.log,
        smooth=False,
        ended=math.isfinite(newest) or not view.grid.newest.named[place],
    )


def layer_entries(view: LayersView, key: str) -> tuple[Entry, ...]:
    """The numbers of every family for a layer, or for the layers of a folded module one by one; then findings."""
    row = next((row for row in view.rows if row.key == key), None)
    if row is None or view.grid is None:
        return (Entry("No layer is selected.", "quiet"),)
    names = [view.grid.names[i] for i in row.members]
    if row.folded:
        lead = [Entry(f"{clean(key, NAME_CHARS)}: {len(names)} layers", "title")]
        lines = [
            Entry(f"{clean(name, NAME_CHARS)}: {_now(view, i)}", "plain", 2, "·")
            for name, i in zip(names, row.members, strict=True)
        ]
        return (
            *lead,
            Entry(f"{view.family.label if view.family else ''} now", "quiet"),
            *lines[:200],
            *_findings(view, names),
        )
    return (Entry(clean(names[0], NAME_CHARS), "title"), *_numbers(view, names[0]), *_findings(view, names))


def _now(view: LayersView, place: int) -> str:
    """The newest value in words."""
    if view.grid is None or view.family is None:
        return ""
    if not view.grid.newest.named[place]:
        return view.family.lacking
    value = float(view.grid.newest.values[place])
    return "exactly 0" if value == 0.0 and view.family.log else units.number(value)


def _numbers(view: LayersView, name: str) -> Iterator[Entry]:
    """What is known of a layer, family by family."""
    if view.run is None:
        return
    for family in view.families:
        grid = view.run.view.layers[family.name]
        if name not in grid.names:
            continue
        place = grid.names.index(name)
        of = LayersView(view.run, type(view.look)(family.name))
        stats, typical = grid.stats(place), grid.typical(place)
        rough = "" if grid.row_count <= len(grid.first) else "about "
        yield Entry(family.label, "heading")
        yield Entry(
            f"now {_now(of, place)} at {grid.x_kind.removesuffix('s')} {units.count(grid.newest.step)}", "value", 2
        )
        if stats.low <= stats.high:
            median = f"{rough}{units.number(typical)}" if typical == typical else "none above 0"
            yield Entry(f"median {median} · min {units.number(stats.low)} · max {units.number(stats.high)}", "plain", 2)
        if stats.nan or stats.inf:
            yield Entry(f"{stats.nan:,} NaN and {stats.inf:,} Inf of {stats.count:,} values", "act", 2)
        first, last = (units.count(float(steps[place])) for steps in (grid.tally.first_step, grid.tally.last_step))
        yield Entry(f"seen from {first} to {last}, {stats.count:,} values", "quiet", 2)
        yield from _silence(of, place)


def _silence(view: LayersView, place: int) -> Iterator[Entry]:
    """Since when it is exactly zero, or has no value any more."""
    if view.grid is None or view.family is None or not view.silent(place):
        return
    zero, last = float(view.grid.tally.zero_since[place]), float(view.grid.tally.last_step[place])
    if zero == zero:
        yield Entry(f"dead: exactly 0 since {units.count(zero)}", "watch", 2)
    if not view.grid.newest.named[place]:
        yield Entry(f"{view.family.lacking} since the row after {units.count(last)}", "watch", 2)


def _findings(view: LayersView, names: list[str]) -> Iterator[Entry]:
    """What was found about these layers."""
    if view.run is None:
        return
    about = {clean(name) for name in names}
    found = [f for f in view.run.findings if about.intersection(layers_of(f))]
    # Findings of several layers name the first of them in their words.
    found += [f for f in view.run.findings if f not in found and any(_quotes(f.message, name) for name in about)]
    yield Entry("Findings about it", "heading")
    if not found:
        yield Entry("None names this layer.", "quiet", 2)
    for finding in found[:50]:
        holds = finding.state is FindingState.ACTIVE
        yield Entry(
            f"{title(finding)}: {clean(finding.message, 600)}", "plain" if holds else "quiet", 2, "●" if holds else "○"
        )


def _quotes(message: str, name: str) -> bool:
    """A message has the name as a word of its own."""
    at = message.find(name)
    around = message[at - 1 : at] + message[at + len(name) : at + len(name) + 1]
    return at >= 0 and len(name) > 1 and not any(ch.isalnum() or ch == "_" for ch in around)
