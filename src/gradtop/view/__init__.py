"""What a panel shows, as plain frozen data: snapshots in, view models out. No toolkit, no I/O, no clock.

Foreign text is cleaned here, so that a view model holds nothing that a terminal could act on.
"""

from gradtop.view.across import EPOCH, STEP, TIME, Across, across, offered
from gradtop.view.banner import Banner, banner
from gradtop.view.charts import Chart, Reading, Trace, charts, copied, reading
from gradtop.view.checklist import Entry, checklist, waiting_for
from gradtop.view.checklist import title as finding_title
from gradtop.view.findings import FindingRow, FindingsView
from gradtop.view.header import Part, header
from gradtop.view.log import first_source, marked_values, standing
from gradtop.view.metrics import MetricsView
from gradtop.view.overlay import MOST_MARKED, Marks, Other, others_of, overlaid
from gradtop.view.ranking import FIELDS as RUN_FIELDS
from gradtop.view.ranking import Order, Ranking
from gradtop.view.runs import RunRow, RunsView
from gradtop.view.tone import Tone

__all__ = [
    "EPOCH",
    "MOST_MARKED",
    "RUN_FIELDS",
    "STEP",
    "TIME",
    "Across",
    "Banner",
    "Chart",
    "Entry",
    "FindingRow",
    "FindingsView",
    "Marks",
    "MetricsView",
    "Order",
    "Other",
    "Part",
    "Ranking",
    "Reading",
    "RunRow",
    "RunsView",
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
    "marked_values",
    "offered",
    "others_of",
    "overlaid",
    "reading",
    "standing",
    "waiting_for",
]
