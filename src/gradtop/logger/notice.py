"""What goes wrong beside the training is said once, and the training goes on."""

import logging

_log = logging.getLogger("gradtop")

MOST = 50
"""Different notices of one process: a message that holds a number of its own must not flood a log."""
LONGEST = 600
"""Characters of a message: names and errors in it are foreign."""


class Notices:
    """Says each thing once, through `logging` (logger `gradtop`, level WARNING): by default a line on stderr."""

    def __init__(self) -> None:
        """Nothing said yet."""
        self._said: set[str] = set()

    def say(self, what: str, message: str) -> bool:
        """Say `message` if nothing was said under the word `what` before; whether it was said now. Never raises."""
        if what in self._said or len(self._said) >= MOST:
            return False
        self._said.add(what)
        shown = "".join(mark if mark.isprintable() else "?" for mark in message[:LONGEST])
        try:
            _log.warning("gradtop: %s", shown)
        except Exception:  # noqa: BLE001 (a log handler of the program; this is also said from its optimizer's hooks)
            return False
        return True
