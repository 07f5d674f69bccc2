"""Many sources to one stream: sessions and steps in order, each metric of a step from the most precise source."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gradtop.machine import Machine
from gradtop.merge.fold import Cursor, alike, folded, union
from gradtop.merge.plan import HISTORY, NOWHERE, Fit, Plan
from gradtop.merge.track import Track
from gradtop.record import End, Event, Record, Restart, Rows, RunFacts
from gradtop.run import cut
from gradtop.sources.fields.launched import LAUNCH

Aside = Event | End | RunFacts
"""What is said beside the rows."""
SLACK_S = 1.0
"""Seconds after the last change of a console within which a row of its stream was there before its last words."""
LAST_WORDS_S = 60.0
"""Seconds before the last change of a run's files in which the last words of a source without steps are its end."""


class Session:
    """The join of one session: rows of the counted kind by step, those of other kinds behind them."""

    def __init__(self, fits: Sequence[Fit], x_kind: str) -> None:
        self._x_kind = x_kind
        self._fits = len(fits)
        self._leading = [i for i, fit in enumerate(fits) if not fit.console]
        self._printed = frozenset(i for i, fit in enumerate(fits) if fit.console)
        self._streams = frozenset(i for i, fit in enumerate(fits) if fit.track.format == "gradtop")
        self.cursors: dict[str, list[Cursor]] = {x_kind: [Cursor() for _ in fits]}
        self._asides: list[tuple[float, int, int, Aside]] = []
        self._told = 0
        self._sorted = True
        self._over = False
        self._ended = False  # by a stream: no text beside it says how
        self.frontier = -math.inf
        """The newest step of what was given out."""

    def add(self, i: int, rows: Rows) -> bool:
        """Rows of source `i`; True when they change what was given out already."""
        kind = rows.x_kind
        cursor = self.cursors.setdefault(kind, [Cursor() for _ in range(self._fits)])[i]
        if cursor.lane.blocks and rows.steps[0] < cursor.lane.last:
            return True
        if kind != self._x_kind or rows.steps[0] > self.frontier:
            cursor.lane.append(rows)
            return self._over
        late = bisect_right(rows.steps, self.frontier)
        news = any(self._is_news(i, rows, k) for k in range(late))
        if late < len(rows):
            cursor.lane.append(cut(rows, late, len(rows)))
        return news

    def _is_news(self, i: int, rows: Rows, k: int) -> bool:
        """A row that came late says something that no source as precise has said, nor any other exactly so."""
        lanes = [cursor.lane for cursor in self.cursors[self._x_kind]]
        for name, column in rows.columns.items():
            if any(True for lane in lanes[:i] for _ in lane.values_at(rows.steps[k], name)):
                continue
            value = column[k]
            said = (other for lane in lanes[i:] for other in lane.values_at(rows.steps[k], name))
            if not any(other == value or (other != other and value != value) for other in said):
                return True
        return False

    def put(self, i: int, position: float, aside: Aside) -> bool:
        """What source `i` said after the step `position`; True when something later was given out already."""
        last = position == math.inf and _is_last(aside)
        # The least precise source speaks first, so that the facts of the most precise one stand.
        self._asides.append((position, -self._fits if last and i in self._streams else -i, len(self._asides), aside))
        self._over = self._over or (last and (i in self._streams or i in self._printed))
        self._ended = self._ended or (last and i in self._streams and isinstance(aside, End))
        self._sorted = False
        return position < self.frontier

    @property
    def newest(self) -> float:
        """The newest step of all sources; of a stream where one is printed beside it."""
        return max(self._ends(self._leading) or self._ends(range(self._fits)), default=-math.inf)

    @property
    def reached(self) -> float:
        """The step that every source with rows has reached, whatever is printed beside a stream."""
        return min(self._ends(self._leading) or self._ends(range(self._fits)), default=-math.inf)

    @property
    def ahead(self) -> bool:
        """A console has steps that its stream has not come to yet."""
        return max(self._ends(range(self._fits)), default=-math.inf) > self.newest

    def _ends(self, places: Iterable[int]) -> list[float]:
        cursors = self.cursors[self._x_kind]
        return [cursors[i].lane.last for i in places if cursors[i].lane.blocks]

    @property
    def waiting(self) -> bool:
        """There is more to give out."""
        return self._told < len(self._asides) or any(
            cursor.step < math.inf for cursors in self.cursors.values() for cursor in cursors
        )

    def advance(self, limit: float) -> Iterator[Record]:
        """The records up to the step `limit`, in order; all other kinds."""
        if not self._sorted:
            self._asides[self._told :] = sorted(self._asides[self._told :], key=lambda said: said[:3])
            self._sorted = True
        while True:
            position = self._asides[self._told][0] if self._told < len(self._asides) else math.inf
            step = min(cursor.step for cursor in self.cursors[self._x_kind])
            if position < math.inf and position <= limit and (position < step or step == math.inf):
                yield from self._next_aside()
            elif step <= limit and step < math.inf:
                yield from self._rows(self.cursors[self._x_kind], min(position, limit))
            else:
                break
        for kind, cursors in self.cursors.items():
            while kind != self._x_kind and min(cursor.step for cursor in cursors) < math.inf:
                yield from self._rows(cursors, math.inf)
        while limit == math.inf and self._told < len(self._asides) and self._asides[self._told][0] == math.inf:
            yield from self._next_aside()

    def _next_aside(self) -> Iterator[Record]:
        (_, i, _, said), self._told = self._asides[self._told], self._told + 1
        if not (self._ended and isinstance(said, End) and -i in self._printed):
            yield said

    def _rows(self, cursors: Sequence[Cursor], limit: float) -> Iterator[Rows]:
        """The rows of the next step, and those after it that can be joined in the same way."""
        step = min(cursor.step for cursor in cursors)
        here = [cursor for cursor in cursors if cursor.step == step]
        beyond = min((cursor.step for cursor in cursors if cursor.step > step), default=math.inf)
        limit = min(limit, math.nextafter(beyond, -math.inf))
        if len(here) == 1:
            rows = here[0].take(here[0].run(limit))
            here[0].count(rows, tuple(rows.columns))
            joined = [rows]
        elif n := alike(here, limit):
            joined = [union(here, n)]
        else:
            joined = list(folded(here, step))
        if cursors is self.cursors[self._x_kind]:
            self.frontier = float(joined[-1].steps[-1])
        yield from joined


def _is_last(said: Aside) -> bool:
    """Nothing is expected to come after it in its launch."""
    return isinstance(said, End) or (isinstance(said, Event) and said.event == "crash")


class Join:
    """The stream of a plan, as far as the tracks go; further records are added as they come."""

    def __init__(self, plan: Plan) -> None:
        """Everything that the tracks of the plan hold."""
        self.plan = plan
        self._places = {id(fit.track): i for i, fit in enumerate(plan.fits)}
        self.sessions = [Session(plan.fits, plan.x_kind) for _ in plan.starts or (0.0,)]
        self._at = 0
        for i, fit in enumerate(plan.fits):
            for lap, content in enumerate(fit.track.laps):
                for lane in content.lanes.values():
                    for rows in lane.blocks:
                        self._add(i, fit, lap, rows)
                for newest, said in content.asides:
                    self._put(i, fit, lap, newest, said)
            for rows in fit.moved or ():
                for session, part in plan.by_session(rows):
                    self.sessions[session].add(i, part)

    def add(self, track: Track, lap: int, record: Record) -> bool:
        """One more record of a track; True when it changes what was given out already."""
        i = self._places[id(track)]
        fit = self.plan.fits[i]
        if isinstance(record, Rows):
            return fit.moved is not None or self._add(i, fit, lap, record)
        newest = track.laps[lap].newest()
        return not isinstance(record, Restart) and self._put(i, fit, lap, newest, record)

    def _add(self, i: int, fit: Fit, lap: int, rows: Rows) -> bool:
        changed = False
        for session, part in self.plan.routed(fit, lap, rows):
            changed = session < self._at or self.sessions[session].add(i, part) or changed
        return changed

    def _put(self, i: int, fit: Fit, lap: int, newest: dict[str, float], said: Record) -> bool:
        if isinstance(said, Rows | Restart | Machine) or fit.contradicts or (fit.echo and isinstance(said, End)):
            return False
        session, position = self._position(fit, lap, newest, said)
        if fit.console and not isinstance(said, RunFacts) and said.step is not None:
            # After the last row of the run no step that was printed is the newest.
            step = None if position == math.inf else said.step + fit.shift(lap)
            said = msgspec.structs.replace(said, step=step)
        return self.sessions[session].put(i, position, said) or session < self._at

    def _position(self, fit: Fit, lap: int, newest: dict[str, float], said: Aside) -> tuple[int, float]:
        """(session, step) after which something was said."""
        position = newest.get(self.plan.x_kind, -math.inf) + fit.shift(lap)
        stand = fit.stands[lap] if lap < len(fit.stands) else None
        session = fit.sessions[min(lap, len(fit.sessions) - 1)] if fit.sessions else NOWHERE
        if session == HISTORY and fit.console and self._is_last_word(fit, lap, newest, said):
            session = len(self.sessions) - 1
        if stand is not None and (session < 0 or self._is_last_word(fit, lap, newest, said)):
            begins = isinstance(said, RunFacts) or (isinstance(said, Event) and said.event == LAUNCH and stand.known)
            return (stand.ended, -math.inf) if begins else self._end(fit, stand.ended)
        if session >= 0:
            last = self._is_last_word(fit, lap, newest, said)
            if last and fit.console:
                return self._end(fit, session, position)
            return session, math.inf if last and fit.track.format == "gradtop" else position
        if not fit.sessions and (fit.console or self.plan.x_kind not in newest):
            return self._place_of_silent(fit, said)
        return self._session_at(position), position

    def _is_last_word(self, fit: Fit, lap: int, newest: dict[str, float], said: Aside) -> bool:
        """A death, or an end, behind all that was printed in a launch."""
        laps = fit.track.laps
        if not _is_last(said) or newest != laps[lap].newest():
            return False
        following = fit.sessions[lap + 1 : lap + 2]
        return lap + 1 >= len(laps) or laps[lap + 1].began is not None or following != fit.sessions[lap : lap + 1]

    def _end(self, fit: Fit, session: int, printed: float = math.inf) -> tuple[int, float]:
        """The place of the last words of a console: the end of a session, unless its stream went on after them."""
        modified = fit.track.modified
        if session < len(self.sessions) - 1 or modified is None:
            return session, math.inf
        lanes = (f.track.lanes(self.plan.x_kind) for f in self.plan.fits if f.track.format == "gradtop")
        steps = [lane[-1].reached(modified + SLACK_S) for lane in lanes if lane]
        known = [step for step in steps if step is not None]
        return session, min(known, default=printed)

    def _session_at(self, step: float) -> int:
        """The newest session that began before a step."""
        return next((s for s in range(len(self.plan.starts) - 1, -1, -1) if self.plan.starts[s] <= step), 0)

    def _place_of_silent(self, fit: Fit, said: Aside) -> tuple[int, float]:
        """Where something goes that a source without steps said.

        It is the end if nobody has written since, else the beginning: what came after it is not known.
        """
        step = getattr(said, "step", None)
        if step is not None and not fit.console:
            return self._session_at(step), float(step)
        newest = max((f.track.modified or 0.0 for f in self.plan.fits), default=0.0)
        if isinstance(said, RunFacts) or newest - (fit.track.modified or newest) > LAST_WORDS_S:
            return 0, -math.inf
        # What a console says without steps is more likely why there was another launch than what ended the last one.
        session = max(0, len(self.sessions) - 1 - fit.console)
        return self._end(fit, session) if fit.console else (session, math.inf)

    @property
    def newest(self) -> float:
        """The newest step of the last session."""
        return self.sessions[-1].newest

    @property
    def reached(self) -> float:
        """The step of the last session that every source with rows in it has reached."""
        return self.sessions[-1].reached

    @property
    def ahead(self) -> bool:
        """A console has steps of the last session that its stream has not come to yet."""
        return self.sessions[-1].ahead

    @property
    def waiting(self) -> bool:
        """There is more to give out."""
        return self._at < len(self.sessions) - 1 or self.sessions[-1].waiting

    def advance(self, limit: float = math.inf) -> Iterator[Record]:
        """The records of the sessions that are over, and of the last one up to the step `limit`."""
        while self._at < len(self.sessions) - 1:
            yield from self.sessions[self._at].advance(math.inf)
            self._at += 1
            yield Restart(reason=self.plan.reasons[self._at])
        yield from self.sessions[-1].advance(limit)

    def used(self, fit: Fit) -> dict[str, int]:
        """Metric to values that come from a source."""
        i = self._places[id(fit.track)]
        total: dict[str, int] = {}
        for session in self.sessions:
            for cursors in session.cursors.values():
                for name, n in cursors[i].used.items():
                    total[name] = total.get(name, 0) + n
        return total
