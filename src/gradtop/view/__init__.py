"""What a panel shows, as plain frozen data: snapshots in, view models out. No toolkit, no I/O, no clock.

Foreign text is cleaned here, so that a view model holds nothing that a terminal could act on.

The first picture pays for what it shows: what other rooms show is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradtop.view.across import EPOCH, STEP, TIME, Across, across, offered
from gradtop.view.banner import Banner, banner
from gradtop.view.charts import Chart, Reading, Trace, charts, copied, reading
from gradtop.view.checklist import checklist, waiting_for
from gradtop.view.checklist import title as finding_title
from gradtop.view.entry import Entry
from gradtop.view.header import Part, header
from gradtop.view.overlay import MOST_MARKED, Marks, Other, others_of, overlaid
from gradtop.view.tone import Tone

if TYPE_CHECKING:
    from gradtop.view.findings import NEWEST, WORST, FindingRow, FindingsView
    from gradtop.view.log import first_source, marked_values, standing
    from gradtop.view.metrics import MetricsView
    from gradtop.view.origin import LinePlace, StepPlace, line_at, no_line, row_lines, step_at, unread_lines
    from gradtop.view.ranking import FIELDS as RUN_FIELDS
    from gradtop.view.ranking import Order, Ranking
    from gradtop.view.runs import RunRow, RunsView
    from gradtop.view.window import Window

__all__ = [
    "EPOCH",
    "MOST_MARKED",
    "NEWEST",
    "RUN_FIELDS",
    "STEP",
    "TIME",
    "WORST",
    "Across",
    "Banner",
    "Chart",
    "Entry",
    "FindingRow",
    "FindingsView",
    "LinePlace",
    "Marks",
    "MetricsView",
    "Order",
    "Other",
    "Part",
    "Ranking",
    "Reading",
    "RunRow",
    "RunsView",
    "StepPlace",
    "Tone",
    "Trace",
    "Window",
    "across",
    "banner",
    "charts",
    "checklist",
    "copied",
    "finding_title",
    "first_source",
    "header",
    "line_at",
    "marked_values",
    "no_line",
    "offered",
    "others_of",
    "overlaid",
    "reading",
    "row_lines",
    "standing",
    "step_at",
    "unread_lines",
    "waiting_for",
]

_LATER = {
    "findings": ("NEWEST", "WORST", "FindingRow", "FindingsView"),
    "log": ("first_source", "marked_values", "standing"),
    "metrics": ("MetricsView",),
    "origin": ("LinePlace", "StepPlace", "line_at", "no_line", "row_lines", "step_at", "unread_lines"),
    "ranking": ("Order", "Ranking"),
    "runs": ("RunRow", "RunsView"),
    "window": ("Window",),
}
"""What is imported when it is asked for, by its module."""
_PLACES = {name: (module, name) for module, names in _LATER.items() for name in names}
_PLACES["RUN_FIELDS"] = "ranking", "FIELDS"


def __getattr__(name: str) -> Any:
    """What another room shows, from its module."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _PLACES[name]
    found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), there)
    return found
