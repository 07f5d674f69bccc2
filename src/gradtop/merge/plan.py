"""How the sources of one run fit together: who counts, from where, and which of their launches are the same."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gradtop.merge import console
from gradtop.merge.align import by_epoch, compared, offset_to
from gradtop.merge.console import Stand
from gradtop.merge.track import Lane, Track, compact_steps
from gradtop.record import Rows
from gradtop.run import cut, kind_rank

PRECISION = ("gradtop", "jsonl", "csv", "json", "text")
"""Formats by the digits of their numbers, the most first: rows as they were computed, a trainer's state, print."""
_ROWS = frozenset(("gradtop", "jsonl", "csv"))
_JUDGED = ("loss", "grad_norm")

HISTORY = -1
"""In place of a session: each row is of the newest session that has its step."""
NOWHERE = -2
"""In place of a session: a launch that the others know nothing of."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How one source is joined."""

    track: Track
    offset: int = 0
    """Added to its steps."""
    sessions: tuple[int, ...] = ()
    """The session of each of its laps, or `HISTORY`."""
    moved: tuple[Rows, ...] | None = None
    """Its rows at the steps that their epochs stand for; None where it counts like the run."""
    others: bool = True
    """Its rows of other kinds are kept under names that no source has by step."""
    left_out: str = ""
    """Why its rows do not count; empty where they do."""
    contradicts: bool = False
    """It tells of another training."""
    echo: bool = False
    """It is of a rank that says again what a lower one says: that it ended says nothing of the run."""
    console: bool = False
    """It is what was printed beside a stream, which has the last word."""
    stands: tuple[Stand, ...] = ()
    """Of a console that says when it was launched again: where its laps stand."""

    def shift(self, lap: int) -> int:
        """What is added to the steps of a lap."""
        return self.offset + (self.stands[lap].shift if lap < len(self.stands) else 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """All sources of a run, the most precise first."""

    fits: tuple[Fit, ...] = ()
    x_kind: str = "step"
    starts: tuple[float, ...] = ()
    """The first step of each session."""
    reasons: tuple[str, ...] = ()
    """Why each session began."""
    names: frozenset[str] = field(default=frozenset())
    """The metrics that come by `x_kind`."""
    exact: frozenset[str] = field(default=frozenset())
    """Those of streams: none of them is taken from a console."""

    def routed(self, fit: Fit, lap: int, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """(session, rows) of a block of a lap, at the steps of the run; nothing of what does not count."""
        if rows.x_kind != self.x_kind:
            if (kept := self._of_other_kind(fit, rows)) is not None:
                session = fit.stands[lap].ended if lap < len(fit.stands) else lap
                yield min(session, max(0, len(self.starts) - 1)), kept
            return
        if fit.left_out or lap >= len(fit.sessions) or fit.sessions[lap] == NOWHERE:
            return
        counted = console.beside(rows, self.exact) if fit.console else rows
        if counted is None:
            return
        counted = shifted(counted, fit.shift(lap))
        if fit.sessions[lap] != HISTORY:
            yield fit.sessions[lap], counted
        else:
            yield from self.by_session(counted)

    def by_session(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Rows of a history: a session holds what no later one repeated."""
        cuts = [bisect_left(rows.steps, start) for start in self.starts]
        for session, first in enumerate(cuts):
            start, stop = first if session else 0, min(cuts[session + 1 :], default=len(rows))
            if start < stop:
                yield session, cut(rows, start, stop)

    def _of_other_kind(self, fit: Fit, rows: Rows) -> Rows | None:
        if not fit.others or fit.contradicts or rows.x_kind == "row":
            return None
        if fit.console:
            return console.of_other_kind(rows, self.names)
        kept = {name: column for name, column in rows.columns.items() if name not in self.names}
        return Rows(rows.steps, kept, below=rows.below, x_kind=rows.x_kind) if kept else None


def shifted(rows: Rows, offset: int) -> Rows:
    """The rows with their steps moved."""
    if not offset:
        return rows
    return Rows(compact_steps([step + offset for step in rows.steps]), rows.columns, below=rows.below)


def planned(tracks: Sequence[Track]) -> Plan:
    """How the tracks fit together: a function of what they hold, not of when it came."""
    lowest = _lowest_ranks(tracks)
    heard = {id(track) for track in tracks if _rank(track) <= lowest.get(_kin(track), _rank(track))}
    order = sorted(tracks, key=_precision)
    consoles = {id(track): stream for track in order if (stream := console.stream_beside(track, order)) is not None}
    x_kind = _counted([track for track in order if id(track) in heard], consoles)
    leading: list[Track] = []
    fits: dict[int, Fit] = {}
    for track in order:
        if id(track) not in heard:
            told = f"rank {max(0, lowest[_kin(track)])} is listened to"
            fits[id(track)] = Fit(track, others=False, left_out=told, echo=True)
        elif track.rows(x_kind):
            fits[id(track)] = _counted_fit(track, leading, x_kind)
            if not fits[id(track)].left_out:
                leading.append(track)
        else:
            stream = consoles.get(id(track))
            stands = console.stands(track, stream, x_kind) if stream is not None else ()
            fits[id(track)] = Fit(track, left_out=_silence(track, x_kind), console=stream is not None, stands=stands)
    for track in order:
        if id(track) in heard and not track.rows(x_kind) and track.rows("epoch") and x_kind == "step":
            stands = fits[id(track)].stands
            fits[id(track)] = replace(_epoch_fit(track, leading), console=id(track) in consoles, stands=stands)
    return _with_sessions([fits[id(track)] for track in order], leading, x_kind)


def _lowest_ranks(tracks: Sequence[Track]) -> dict[tuple[str, int], int]:
    """The lowest rank with rows of each launch that has files of several ranks: the others say the same again."""
    lowest: dict[tuple[str, int], int] = {}
    for track in tracks:
        if track.part.kin and track.kinds():
            lowest[_kin(track)] = min(_rank(track), lowest.get(_kin(track), _rank(track)))
    return lowest


def _kin(track: Track) -> tuple[str, int]:
    return track.part.kin, track.part.launch


def _rank(track: Track) -> int:
    return track.part.rank if track.part.rank is not None else -1


def _precision(track: Track) -> tuple[int, str]:
    rank = 0 if track.format in _ROWS else PRECISION.index(track.format) if track.format in PRECISION else 9
    return rank, str(track.part.path)


def _counted(tracks: Sequence[Track], consoles: Collection[int]) -> str:
    """What the run counts by: the best kind that comes with a loss or a grad norm, else the best of all.

    A stream counts as it counts, whatever is printed beside it.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    without = [track for track in tracks if id(track) not in consoles]
    for track in without if any(track.kinds() for track in without) else tracks:
        for kind in track.kinds():
            kinds[kind] |= track.names(kind)
    judged = [kind for kind, names in kinds.items() if not names.isdisjoint(_JUDGED)]
    return min(judged or kinds, key=kind_rank, default="step")


def _counted_fit(track: Track, leading: Sequence[Track], x_kind: str) -> Fit:
    """A track that counts like the run, beside those that are more precise."""
    rivals = [other for other in leading if other.part.launch == track.part.launch]
    if x_kind == "row" and rivals:
        return Fit(track, left_out="its rows have no step")
    if (stream := console.stream_beside(track, rivals)) is not None:
        return _console_fit(track, stream, x_kind)
    offset, agreement = offset_to(track, rivals, x_kind) if rivals else (0, None)
    if agreement is not None and agreement.contradicts:
        said = f"{agreement.compared - agreement.agreeing:,} of {agreement.compared:,} values differ at the same steps"
        return Fit(track, others=False, left_out=f"it tells of another training: {said}", contradicts=True)
    return Fit(track, offset)


def _console_fit(track: Track, stream: Track, x_kind: str) -> Fit:
    """What was printed beside a stream, at its steps."""
    if stands := console.stands(track, stream, x_kind):
        placed = any(stand.session is not None for stand in stands)
        return Fit(track, left_out="" if placed else _uncounted(stream, x_kind), console=True, stands=stands)
    offset, agreement = offset_to(track, (stream,), x_kind)
    if agreement.same:
        return Fit(track, offset, console=True)
    if console.keeps_pace(track, stream, x_kind):
        return Fit(track, console.from_zero(track, stream, x_kind), console=True)
    return Fit(track, left_out=_uncounted(stream, x_kind), console=True)


def _uncounted(stream: Track, x_kind: str) -> str:
    return f"it does not count the {x_kind}s of {stream.part.path.name}"


def _silence(track: Track, x_kind: str) -> str:
    kinds = sorted(track.kinds())
    return f"its rows count {kinds[0]}s, those of the run {x_kind}s".replace("ss", "s") if kinds else ""


def _epoch_fit(track: Track, leading: Sequence[Track]) -> Fit:
    moved = by_epoch(track, leading)
    if moved is None:
        return Fit(track, left_out="its rows have an epoch and no step, and no other source has the same at a step")
    return Fit(track, moved=tuple(moved), others=False)


def _with_sessions(fits: Sequence[Fit], leading: Sequence[Track], x_kind: str) -> Plan:
    """The plan with the sessions of all launches, one after the other."""
    starts: list[float] = []
    reasons: list[str] = []
    sessions: dict[int, tuple[int, ...]] = {}
    offsets = {id(fit.track): fit.offset for fit in fits}
    printed = {id(fit.track) for fit in fits if fit.console}
    stands = {id(fit.track): fit.stands for fit in fits}
    for launch in sorted({track.part.launch for track in leading}):
        tracks = [track for track in leading if track.part.launch == launch]
        leader = max(tracks, key=lambda track: (id(track) not in printed, len(track.lanes(x_kind))))
        first = len(starts)
        starts += [lane.first + offsets[id(leader)] for lane in leader.lanes(x_kind)]
        reasons += [lap.reason for lap in leader.laps if x_kind in lap.lanes]
        for track in tracks:
            stood = [first + s.session if s.session is not None else NOWHERE for s in stands[id(track)]]
            sessions[id(track)] = tuple(stood or _laps(track, leader, x_kind, first, offsets))
    if len(reasons) > 1 and len({track.part.launch for track in leading}) > 1:
        reasons = [reason if reason != "start" or not i else "relaunched" for i, reason in enumerate(reasons)]
    told = tuple(replace(fit, sessions=sessions.get(id(fit.track), ())) for fit in fits)
    names = frozenset(name for track in leading for name in track.names(x_kind))
    exact = frozenset(name for track in leading if track.format == "gradtop" for name in track.names(x_kind))
    return Plan(told, x_kind, tuple(starts), tuple(reasons), names, exact)


def _laps(track: Track, leader: Track, x_kind: str, first: int, offsets: Mapping[int, int]) -> Iterator[int]:
    """The session of each lap of a track; a first lap without rows of the kind is of the first session."""
    lanes, mine = leader.lanes(x_kind), track.lanes(x_kind)
    unknown = max(0, len(mine) - len(lanes))
    at = 0 if unknown else _place(mine, lanes, offsets[id(track)] - offsets[id(leader)], append=track.format != "json")
    seen = 0
    for lap in track.laps:
        place = min(at + max(0, seen - unknown), len(lanes) - 1)
        yield at if at == HISTORY else NOWHERE if seen < unknown else first + place
        seen += x_kind in lap.lanes


def _place(mine: Sequence[Lane], lanes: Sequence[Lane], offset: int, append: bool) -> int:
    """The leader's lap that the first lap of another source is, or `HISTORY`.

    A source with fewer laps has lost the first ones, has not begun the last one yet, or is a history that was
    corrected where a run went back: the values tell which.
    """
    missing = len(lanes) - len(mine)
    if not missing:
        return 0
    choices = [missing, 0] if append and mine[0].first + offset > lanes[missing].first - lanes[missing].gap else [0]
    if len(mine) == 1:
        choices.insert(choices.index(0), HISTORY)
    return max(choices, key=lambda at: _agreeing(mine, lanes, at, offset))


def _agreeing(mine: Sequence[Lane], lanes: Sequence[Lane], at: int, offset: int) -> float:
    if at != HISTORY:
        return min(
            (compared([lane], lanes[at + i].values_at, offset).share for i, lane in enumerate(mine)), default=0.0
        )

    def values(step: float, name: str) -> Iterator[float]:
        return next((lane for lane in reversed(lanes) if lane.first <= step), lanes[0]).values_at(step, name)

    return compared(mine, values, offset).share
