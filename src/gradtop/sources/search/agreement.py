"""Whether two sources tell of the same training: how many of their values agree, as far as they were printed."""

from dataclasses import dataclass

LEAST = 3
"""Values that have to be compared before two sources agree or contradict each other."""
AGREEING = 0.9
"""Part of the compared values that agree where two sources tell of one training; the rest may be averages."""
CONTRADICTING = 0.2
"""Part of agreeing values below which two sources tell of different trainings: some values agree by chance."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many values were compared, and how many of them agree."""

    compared: int = 0
    agreeing: int = 0

    @property
    def same(self) -> bool:
        """The two tell of one training."""
        return self.compared >= LEAST and self.agreeing >= AGREEING * self.compared

    @property
    def contradicts(self) -> bool:
        """The two tell of different trainings."""
        return self.compared >= LEAST and self.agreeing <= CONTRADICTING * self.compared

    @property
    def share(self) -> float:
        """Part of the values that agree, 0 where nothing can be compared."""
        return self.agreeing / self.compared if self.compared else 0.0


def agree(a: float, b: float) -> bool:
    """Two numbers are the same within the digits that either of them shows."""
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= max(half_digit(a), half_digit(b)) * 1.01


def half_digit(value: float) -> float:
    """Half a unit of the last digit that a number shows; 0 for one of full precision, and for 0 itself."""
    digits, _, exponent = repr(float(value)).partition("e")
    decimals = len(digits.partition(".")[2].rstrip("0"))
    if value == 0.0 or len(digits.replace("-", "").replace(".", "").strip("0")) > 12:
        return 0.0
    return 0.5 * 10.0 ** (int(exponent or 0) - decimals)
