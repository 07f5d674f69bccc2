"""The line that `gradtop run` puts before the output of another launch, in a file that has some already."""

import re
from datetime import datetime

from gradtop.record import Event, Record, Restart
from gradtop.sources.reader import MAX_MESSAGE, Line

LAUNCH = "launch"
"""The event of such a line."""
RELAUNCHED = "relaunched"
"""Why the session after it began."""
RULE = "launch"
"""The name of such lines in `explain`."""
_LINE = re.compile(
    rb"==== gradtop run at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) on [!-~]+, process \d+(?:: .*)? ====\s*\Z"
)


def launched(line: Line) -> tuple[Record, ...]:
    """What such a line says: that a launch begins, and when; nothing for any other line."""
    found = _LINE.match(line.data) if line.data.startswith(b"==== g") else None
    if found is None:
        return ()
    try:
        time = datetime.fromisoformat(found[1].decode()).timestamp()
    except ValueError:
        return ()
    message = line.data.decode("utf-8", errors="replace").strip()[:MAX_MESSAGE]
    return Restart(reason=RELAUNCHED, line=line.number), Event(
        event=LAUNCH, message=message, time=time, line=line.number
    )
