"""What a panel shows, as plain frozen data: snapshots in, view models out. No toolkit, no I/O, no clock.

Foreign text is cleaned here, so that a view model holds nothing that a terminal could act on.
"""

from gradtop.view.across import EPOCH, STEP, TIME, Across, across, offered
from gradtop.view.banner import Banner, Tone, banner
from gradtop.view.charts import Chart, Reading, Trace, charts, copied, reading
from gradtop.view.checklist import Entry, checklist, waiting_for
from gradtop.view.checklist import title as finding_title
from gradtop.view.findings import FindingRow, FindingsView
from gradtop.view.header import Part, header
from gradtop.view.log import first_source, marked_values, standing
from gradtop.view.metrics import MetricsView
from gradtop.view.overlay import MOST_MARKED, Marks, Other, others_of, overlaid
from gradtop.view.runs import RunRow, RunsView
from gradtop.view.system import ABSENT, DeviceRow, Fact, History, Panel, SystemView, machine_lines, system

__all__ = [
    "ABSENT",
    "EPOCH",
    "MOST_MARKED",
    "STEP",
    "TIME",
    "Across",
    "Banner",
    "Chart",
    "DeviceRow",
    "Entry",
    "Fact",
    "FindingRow",
    "FindingsView",
    "History",
    "Marks",
    "MetricsView",
    "Other",
    "Panel",
    "Part",
    "Reading",
    "RunRow",
    "RunsView",
    "SystemView",
    "Tone",
    "Trace",
    "across",
    "banner",
    "charts",
    "checklist",
    "copied",
    "finding_title",
    "first_source",
    "header",
    "machine_lines",
    "marked_values",
    "offered",
    "others_of",
    "overlaid",
    "reading",
    "standing",
    "system",
    "waiting_for",
]
