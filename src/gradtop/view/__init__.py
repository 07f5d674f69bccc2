"""What a panel shows, as plain frozen data: snapshots in, view models out. No toolkit, no I/O, no clock.

Foreign text is cleaned here, so that a view model holds nothing that a terminal could act on.
"""

from gradtop.view.banner import Banner, Tone, banner
from gradtop.view.charts import Chart, Reading, Trace, charts, reading
from gradtop.view.checklist import Entry, checklist, waiting_for
from gradtop.view.checklist import title as finding_title
from gradtop.view.findings import FindingRow, FindingsView
from gradtop.view.header import Part, header
from gradtop.view.log import first_source, marked_values, standing
from gradtop.view.runs import RunRow, RunsView
from gradtop.view.system import DeviceRow, Fact, History, Panel, SystemView, machine_line, system

__all__ = [
    "Banner",
    "Chart",
    "DeviceRow",
    "Entry",
    "Fact",
    "FindingRow",
    "FindingsView",
    "History",
    "Panel",
    "Part",
    "Reading",
    "RunRow",
    "RunsView",
    "SystemView",
    "Tone",
    "Trace",
    "banner",
    "charts",
    "checklist",
    "finding_title",
    "first_source",
    "header",
    "machine_line",
    "marked_values",
    "reading",
    "standing",
    "system",
    "waiting_for",
]
