"""Questions to NVIDIA's driver, each of which may fail in its own way: a value, or why there is none."""

from collections.abc import Callable
from typing import Any

UNINITIALIZED, FUNCTION_NOT_FOUND, GPU_IS_LOST, VERSION_MISMATCH = 1, 13, 15, 25
"""Return codes of NVML."""
LOST = "lost"
OUT_OF_RANGE = "out of range"
UNKNOWN_CALL = "not in this driver"
REASONS = {
    0: "no value",
    2: "refused",
    3: "not supported",
    4: "no permission",
    6: "not found",
    9: "driver not loaded",
    10: "timed out",
    FUNCTION_NOT_FOUND: UNKNOWN_CALL,
    GPU_IS_LOST: LOST,
    16: "needs a reset",
    18: "driver and library differ",
    19: "in use",
    VERSION_MISMATCH: UNKNOWN_CALL,
    999: "unknown error",
}
"""Return code → why a value is absent, in words that fit beside `n/a`."""
_OLDER = (FUNCTION_NOT_FOUND, VERSION_MISMATCH)


class Reloaded(Exception):
    """The driver forgot us: it was loaded anew, and every handle with it."""


class Reading:
    """The answers of one device at one moment; what was not answered is in `absent`."""

    def __init__(self, reloads: bool = True) -> None:
        """With `reloads`, a driver that was loaded anew ends the reading with `Reloaded`."""
        self._reloads = reloads
        self.absent: dict[str, str] = {}
        """Field → why it is absent."""
        self.codes: dict[str, int | None] = {}
        """The same as return codes of NVML; None where it was an error of another kind."""
        self.values: dict[str, Any] = {}
        """Field → what the driver says."""

    def ask(self, field: str, *calls: Callable[[], Any]) -> Any:
        """The answer of the first call that this driver knows; None with a reason for `field` without one.

        Raises:
            Reloaded: the driver was loaded anew.
        """
        for call in calls:
            try:
                answer = call()
                self.absent.pop(field, None)
                return answer
            # Not only NVMLError: names that are no UTF-8, a binding that is older or newer than the driver.
            except Exception as error:  # noqa: BLE001 (whatever one field does, the others live)
                code = _code(error)
                if code == UNINITIALIZED and self._reloads:
                    raise Reloaded from None
                self.codes[field], self.absent[field] = code, why_absent(error)
                if code not in _OLDER:
                    break
        return None

    def number(self, field: str, most: float, *calls: Callable[[], Any], scale: float = 1.0) -> float | None:
        """A number from 0 to `most`, kept under the name of its field; None where the driver gives no such thing."""
        read = self.ask(field, *calls)
        return None if read is None else self.keep(field, read, most, scale)

    def keep(self, field: str, read: float, most: float, scale: float = 1.0) -> float | None:
        """Keep what was read if it is possible: drivers answer all bits set where they know nothing."""
        value = read * scale if scale != 1.0 else read
        if not 0 <= value <= most:
            self.absent[field] = OUT_OF_RANGE
            return None
        self.values[field] = value
        return value

    def text(self, field: str, call: Callable[[], Any]) -> str | None:
        """A text, as the driver has it."""
        read = self.ask(field, call)
        if read is None:
            return None
        self.values[field] = found = str(read)[:200]
        return found

    @property
    def silence(self) -> str:
        """What all fields say where none has a value: the device is `lost`, say; empty where it is not so."""
        reasons = set(self.absent.values())
        if self.values or (len(reasons) > 1 and LOST not in reasons):
            return ""
        return LOST if LOST in reasons else next(iter(reasons - {REASONS[3], UNKNOWN_CALL}), "")


def _code(error: Exception) -> int | None:
    """The return code behind an error of the binding; None for errors of another kind."""
    if type(error).__name__ == "NVMLLibraryMismatchError" or isinstance(error, AttributeError):
        return FUNCTION_NOT_FOUND
    # Compared as a number: the binding's errors can be neither hashed nor compared with others.
    value = getattr(error, "value", None)
    return value if isinstance(value, int) else None


def why_absent(error: Exception) -> str:
    """Why there is no value, in a few words."""
    if isinstance(error, UnicodeError):
        return "not readable"
    if isinstance(error, PermissionError) or type(error).__name__ == "AccessDenied":
        return REASONS[4]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    code = _code(error)
    return REASONS.get(code, f"error {code}") if code is not None else type(error).__name__
