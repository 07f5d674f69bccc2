"""From values on the device to lines in the file, in the order of the steps."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING

from gradtop.logger import line
from gradtop.logger.cadence import Cadence
from gradtop.logger.pending import Flight, Row
from gradtop.logger.readback import Readback
from gradtop.logger.rounds import Taken
from gradtop.logger.sample import Sample
from gradtop.logger.writer import Writer

if TYPE_CHECKING:
    from gradtop.logger.activation import Readings
    from gradtop.logger.ranks import Reduction

NEVER = sys.maxsize // 2
"""Steps to the next sample where the ranks can no longer add up what they read."""
MOST_FLIGHTS = 256
"""Flights under way at once; the oldest are waited for when a device falls behind by more."""
WAIT_S = 600.0
"""Seconds that a rank waits for the sums of the sample before, when the next one is due already. A rank that is gone
ends the wait within a second; one that is late, say with a checkpoint, keeps a sharded training waiting anyway."""
GOODBYE_S = 1.0
"""Seconds that the last sums have to arrive when the logger is closed."""
_BYTES = 27
"""About what the values of a layer take in a line."""
_EMPTY = (
    "No parameter has a gradient when the logger looks: zero_grad() comes before log.step(). "
    "Give the optimizer to gradtop.Logger, or call log.step() before zero_grad()."
)
_UNEXPLAINED = (
    "grad_norm is {given:.4g}, but the optimizer's gradients have a norm of {read:.4g}, and clipping to {clip:g} "
    "does not explain that: values per layer are those of the optimizer's gradients."
)
_CLIPPED = 1.001
_AT_CLIP = 1.01


@dataclass(slots=True)
class _Departure:
    """Rows, the last of them sampled, on their way."""

    flight: Flight
    taken: Taken | None
    layers: str
    """The `id` of the layers' names."""
    activations: Readback | None
    summing: bool = False
    sums: Sequence[float] | None = None


class Outbox:
    """Sends rows and samples off, and writes them when they have arrived; nothing here waits for a device."""

    def __init__(
        self,
        writer: Writer | None,
        cadence: Cadence,
        reduction: Reduction | None,
        *,
        clip_norm: float | None,
        chief: bool,
        partial: bool,
    ) -> None:
        """Sums go through `reduction`; `chief` is the rank that says how often steps are sampled.

        With `partial` the samples are of one rank's part of the model, and their total is no norm of the whole.
        """
        self._writer, self._cadence, self._reduction = writer, cadence, reduction
        self._clip_norm, self._chief, self._partial = clip_norm, chief, partial
        self._way: deque[_Departure] = deque()
        self._names: dict[tuple[str, ...], str] = {}
        self._agreed = cadence.opening
        self._doubted = False

    def send(self, rows: list[Row], taken: Taken | None, names: Sequence[str], numel: Sequence[int]) -> None:
        """Send rows off; `taken` belongs to the last of them."""
        layers = self._named(names, numel) if taken is not None and taken.sample is not None else ""
        readings = taken.readings if taken is not None else None
        activations = Readback(readings.vectors) if readings is not None else None
        gap = self._gap(taken)
        self._way.append(_Departure(Flight(rows), taken, layers, activations))
        if taken is not None and (taken.sample is not None or gap is not None):
            # Ranks have to sample the same steps, so a gap that they agree on is that of the sums before.
            self._cadence.sampled(taken.count, gap)
        self.land()
        while len(self._way) > MOST_FLIGHTS:
            self._write(self._way.popleft())

    def _gap(self, taken: Taken | None) -> int | None:
        """The gap that the ranks agreed on with the sums of the sample before; None where this one decides."""
        reduction = self._reduction
        if taken is None or reduction is None:
            return None
        for departure in list(self._way):
            before = departure.taken
            if reduction.alive and before is not None and before.sample is not None:
                while not self._summed(departure, before.sample, before.count):
                    reduction.wait(WAIT_S)
        self.land()
        if taken.sample is None:
            self.give_up()
        return self._agreed if reduction.alive else NEVER

    def land(self) -> None:
        """Write what has arrived."""
        while self._way and self._arrived(self._way[0]):
            self._write(self._way.popleft())

    def give_up(self) -> None:
        """This rank could not read what the others have read: there are no more sums."""
        if self._reduction is not None:
            self._reduction.leave()

    def finish(self) -> None:
        """Write all there is: wait for the devices, and a moment for the other ranks, and take leave of them."""
        reduction = self._reduction
        if reduction is not None:
            if any(departure.summing and departure.sums is None for departure in self._way):
                reduction.wait(GOODBYE_S)
                self.land()
            reduction.leave()
        while self._way:
            self._write(self._way.popleft())

    def _arrived(self, departure: _Departure) -> bool:
        taken = departure.taken
        if not departure.flight.ready() or (departure.activations is not None and not departure.activations.ready()):
            return False
        if taken is None or taken.sample is None:
            return True
        return taken.sample.readback.ready() and self._summed(departure, taken.sample, taken.count)

    def _summed(self, departure: _Departure, sample: Sample, count: int) -> bool:
        """The sums over all ranks are there, or will never be."""
        reduction = self._reduction
        if departure.sums is None and reduction is None:
            departure.sums = sample.sums()
        if departure.sums is not None or reduction is None:
            return True
        if not departure.summing:
            gap = float(self._cadence.gap()) if self._chief else 0.0
            reduction.start([*sample.sums(), gap], at=count)
            departure.summing = True
        if not reduction.ready():
            return False
        sums = reduction.result()
        if sums is not None:
            self._agreed = max(1, int(sums[-1]))
            departure.sums = sums[:-1]
        return True

    def _write(self, departure: _Departure) -> None:
        """Write rows and what was read at the last of them; sums that never came leave out the values per layer."""
        rows = departure.flight.rows()
        step, time, _ = rows[-1]
        taken = departure.taken
        columns: Mapping[str, Sequence[float | None]] = {}
        if taken is not None and taken.sample is not None and departure.sums is not None:
            columns = self._columns(taken.sample, departure.sums, rows[-1], taken.single)
        if taken is not None and taken.sample is not None:
            self._cadence.cost(taken.watch.seconds(), _BYTES * taken.layers)
        if self._writer is None:
            return
        self._writer.put_all(line.metrics, rows)
        if columns:
            self._writer.put(line.layers, step, time, departure.layers, columns)
        elif taken is not None and taken.sample is not None and taken.sample.empty:
            self._writer.put(_event, "measurement_suspect", step, time, _EMPTY)
        if taken is not None and taken.readings is not None and departure.activations is not None:
            self._write_readings(step, time, taken.readings, departure.activations)

    def _columns(
        self, sample: Sample, sums: Sequence[float], row: tuple[float, float, dict[str, float]], single: bool
    ) -> Mapping[str, Sequence[float | None]]:
        """The values per layer, before clipping; the row gets their total where it has no norm of its own."""
        columns, total = sample.columns(sums)
        if sample.empty or self._partial:
            return {} if sample.empty else columns
        given = row[2].setdefault("grad_norm", total)
        if given == inf and isnan(total):
            # Clipping by an infinite norm made 0 of every finite gradient, and NaN of those that were to blame.
            return columns | {"grad_norm": [norm or None for norm in columns["grad_norm"]]}
        factor = self._restored(given, total, row) if single and not sample.clipped else 1.0
        return columns if factor == 1.0 else sample.columns(sums, factor)[0]

    def _restored(self, given: float, read: float, row: tuple[float, float, dict[str, float]]) -> float:
        """What norms that were read after clipping have to be multiplied by; 1 where nothing was clipped."""
        if not (read > 0.0 and read * _CLIPPED < given < inf):
            return 1.0
        if self._clip_norm is None or read <= self._clip_norm * _AT_CLIP:
            return given / read
        if self._writer is not None and not self._doubted:
            self._doubted = True
            message = _UNEXPLAINED.format(given=given, read=read, clip=self._clip_norm)
            self._writer.put(_event, "measurement_suspect", row[0], row[1], message)
        return 1.0

    def _write_readings(self, step: float, time: float, readings: Readings, arrived: Readback) -> None:
        assert self._writer is not None
        columns = readings.columns(arrived.values())
        if columns:
            names = self._named(readings.names, ())
            self._writer.put(line.layers, step, time, names, columns)

    def _named(self, names: Sequence[str], numel: Sequence[int]) -> str:
        """The `id` of some names, which are written before they are first used."""
        key = tuple(names)
        if key not in self._names:
            self._names[key] = f"n{len(self._names) + 1}"
            if self._writer is not None:
                self._writer.put(line.layer_names, self._names[key], key, tuple(numel), keep=True)
        return self._names[key]


def _event(word: str, step: float, time: float, message: str) -> bytes:
    return line.event(word, step=step, time=time, message=message, level="warning", data={})
