"""The devices of a run that rules look at."""

from gradtop.detect.signals import Signals
from gradtop.device import DEVICES, metric


class Devices:
    """The metrics of one name that the log has, one for each device."""

    __slots__ = ("_all", "_known", "names")

    def __init__(self, name: str) -> None:
        """No metric known yet of this name."""
        self._all = tuple(metric(device, name) for device in range(DEVICES))
        self._known = -1
        self.names: tuple[str, ...] = ()
        """Of the devices that were seen so far."""

    def look(self, s: Signals) -> tuple[str, ...]:
        """The names that the log has by now."""
        if len(s.names) != self._known:
            self._known = len(s.names)
            self.names = tuple(name for name in self._all if name in s.names)
        return self.names
