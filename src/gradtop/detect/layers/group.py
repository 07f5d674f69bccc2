"""Layers that have the same fault since the same row: one case, however many they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradtop.clean import clean
from gradtop.detect.case import MAX_CASES, Case, opened
from gradtop.detect.perlayer import Flags
from gradtop.detect.signals import Signals
from gradtop.finding import Severity

_NAMED = 3
_NAME_LENGTH = 60


@dataclass(slots=True)
class Group:
    """Some layers, by their places, and their case."""

    case: Case
    members: tuple[int, ...]
    form: str = ""

    def scope(self, s: Signals) -> str:
        """`layer:<name>` of a single layer, `layers` of several."""
        return f"layer:{clean(s.layers.names[self.members[0]])}" if len(self.members) == 1 else "layers"

    def names(self, s: Signals) -> str:
        """`layers.0.attn`, or `layers.0, layers.1, layers.2 and 13 more layers`, from input to output."""
        return named(s, self.members)


class Groups:
    """The groups of one rule, oldest first, of which a bounded number is kept."""

    __slots__ = ("active", "all", "grouped")

    def __init__(self) -> None:
        """No group yet."""
        self.all: list[Group] = []
        self.active = False
        """A group's fault goes on."""
        self.grouped: frozenset[int] = frozenset()
        """The layers of groups whose fault goes on."""

    def begin(self, s: Signals, layers: Flags, first_step: float, rows: int, form: str = "") -> Group | None:
        """Make a group of those layers that are in none, known now and at fault for `rows` rows; None without any."""
        members = tuple(i for i in np.flatnonzero(layers).tolist() if i not in self.grouped)
        if not members:
            return None
        case = opened(s)
        case.first_step, case.count = min(first_step, s.step), rows
        case.first_row = max(1, s.rows - rows + 1)
        case.raise_to(Severity.NOTICE, s.step)
        group = Group(case, members, form)
        self.all.append(group)
        if len(self.all) > MAX_CASES:
            over = next((i for i, old in enumerate(self.all) if not old.case.active), 0)
            del self.all[over]
        self._count()
        return group

    def join(self, layers: Flags, form: str) -> bool:
        """Make those layers that are in no group part of the one of the `form` that goes on; False without one."""
        group = next((group for group in self.all if group.case.active and group.form == form), None)
        if group is None:
            return False
        more = [i for i in np.flatnonzero(layers).tolist() if i not in self.grouped]
        if more:
            group.members = (*group.members, *more)
            self._count()
        return True

    def follow(self, s: Signals, layers: Flags, form: str | None = None) -> None:
        """Take a row in, at which the fault holds for `layers`: a group is over when it is gone for some rows.

        Only groups of the `form` are meant, all where that is None.
        """
        for group in self.all:
            if not group.case.active or form not in (None, group.form):
                continue
            if layers[list(group.members)].any():
                group.case.extend(s)
                continue
            case = group.case
            case.misses += 1
            case.back_step = s.step if case.back_step is None else case.back_step
            if case.misses >= s.layers.rows_for(s.limits.clear_rows, 3):
                case.active = False
                self._count()

    def share(self, of: int) -> float:
        """The part of `of` layers that are in a group whose fault goes on."""
        return len(self.grouped) / of if of else 0.0

    def _count(self) -> None:
        self.grouped = frozenset(i for group in self.all if group.case.active for i in group.members)
        self.active = bool(self.grouped)


def named(s: Signals, layers: Sequence[int]) -> str:
    """Some layers by name, from input to output: up to three, and how many more there are."""
    some = set(layers)
    names = [shown(s.layers.names[i]) for i in s.layers.depth.order if i in some]
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more layers"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def shown(name: str) -> str:
    """The name of a layer or a block; a bare number says what it is."""
    return f"layer {name}" if name.isdigit() else clean(name, _NAME_LENGTH)
