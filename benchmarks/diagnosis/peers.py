"""Rules that other tools publish, written anew from their definitions, over the same rows.

Each has the parameters that its tool ships. Where a tool looks at elements of tensors and a log has norms, the norm
stands for them, which the entry says. A tool that stops the training at its first alarm is let go on here.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from gradtop.record import Record

from .reading import Reading, Window, readings
from .score import Span

GAP = 20
"""Logged steps without it after which an alarm of the same rule is another one, as for gradtop's own findings."""


class Rule(Protocol):
    """A published rule over the readings of one run, in their order."""

    def fires(self, r: Reading) -> bool:
        """It would raise its alarm here."""
        ...


class LossNotDecreasing:
    """SageMaker Debugger: `num_steps` 10, `diff_percent` 0.1."""

    def __init__(self) -> None:
        self._step = self._loss = math.nan

    def fires(self, r: Reading) -> bool:
        """The loss is not 0.1 % below that of the last check, at least 10 steps ago."""
        loss = r.values.get("loss")
        if loss is None or 0 <= r.step - self._step < 10:
            return False
        known, before = self._step == self._step, self._loss
        self._step, self._loss = r.step, loss
        return known and not (before - loss) * 100 >= 0.1 * abs(before)


class Overfit:
    """SageMaker Debugger: `ratio_threshold` 0.1, `patience` 1."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._losses = self._above = 0

    def fires(self, r: Reading) -> bool:
        """For more than one evaluation the validation loss is 10 % above the mean train loss since the last one."""
        loss, validation = r.values.get("loss"), r.values.get("val_loss")
        if loss is not None:
            self._sum, self._losses = self._sum + loss, self._losses + 1
        if validation is None or not self._losses:
            return False
        train = self._sum / self._losses
        self._sum, self._losses = 0.0, 0
        self._above = self._above + 1 if validation - train > 0.1 * train else 0
        return self._above > 1


class VanishingGradient:
    """SageMaker Debugger: `threshold` 1e-7 for the mean absolute gradient of a tensor; here for its norm."""

    def fires(self, r: Reading) -> bool:
        """One tensor's gradient is that small at one step."""
        return any(norm < 1e-7 for norm in r.layers.get("grad_norm", {}).values())


class WeightUpdateRatio:
    """SageMaker Debugger: `large_threshold` 10, `small_threshold` 1e-8; here for the norms of update and weight."""

    def fires(self, r: Reading) -> bool:
        """The ratio of one tensor is outside at one step."""
        ratios = r.layers.get("update_ratio", {}).values()
        return any(ratio > 10.0 or ratio < 1e-8 for ratio in ratios)


class ExplodingTensor:
    """SageMaker Debugger: `only_nan` off."""

    def fires(self, r: Reading) -> bool:
        """The loss or a gradient is NaN or infinite."""
        whole = (r.values[name] for name in ("loss", "grad_norm") if name in r.values)
        return not all(map(math.isfinite, (*whole, *r.layers.get("grad_norm", {}).values())))


class Floor:
    """A fixed floor for the global grad norm: 1e-6."""

    def fires(self, r: Reading) -> bool:
        """The grad norm is below it at one step."""
        return r.values.get("grad_norm", math.inf) < 1e-6


def _ends(r: Reading) -> tuple[float, float] | None:
    """The gradients of the first and of the last layer, biases left out; None where there are not two."""
    norms = [norm for name, norm in r.layers.get("grad_norm", {}).items() if not name.endswith("bias")]
    return (norms[0], norms[-1]) if len(norms) > 1 else None


class Vanish:
    """AutoTrainer's gradient vanish: beta_1 1e-3, beta_2 1e-4, without the accuracy that its user has to give."""

    def fires(self, r: Reading) -> bool:
        """The first layer's gradient is below a thousandth of the last one's, and below 1e-4."""
        ends = _ends(r)
        return ends is not None and ends[0] < 1e-3 * ends[1] and ends[0] < 1e-4


class Explode:
    """AutoTrainer's gradient explosion: beta_3 70, without the accuracy that its user has to give."""

    def fires(self, r: Reading) -> bool:
        """The first layer's gradient is more than 70 times the last one's, or a gradient is not finite."""
        ends = _ends(r)
        return ends is not None and (ends[0] > 70 * ends[1] or not all(map(math.isfinite, ends)))


class DyingReLU:
    """AutoTrainer's dying ReLU: gamma 0.7, without the accuracy that its user has to give."""

    def fires(self, r: Reading) -> bool:
        """70 % of all gradients are exactly zero; a layer with norm 0 stands for its elements where shares lack."""
        shares = [*r.layers.get("zero_fraction", {}).values()]
        shares = shares or [float(norm == 0.0) for norm in r.layers.get("grad_norm", {}).values()]
        return bool(shares) and sum(shares) >= 0.7 * len(shares)


class ZClip:
    """ZClip, which clips and does not alarm: alpha 0.97, `z_thresh` 2.5, 25 steps of warm-up, adaptive scaling."""

    def __init__(self) -> None:
        self._first: list[float] = []
        self._mean = self._variance = math.nan

    def fires(self, r: Reading) -> bool:
        """The grad norm is 2.5 deviations above its moving mean, which is fed with the clipped norm."""
        norm = r.values.get("grad_norm")
        if norm is None:
            return False
        if len(self._first) < 25:
            self._first.append(norm)
            self._mean = sum(self._first) / len(self._first)
            self._variance = sum((x - self._mean) * (x - self._mean) for x in self._first) / len(self._first)
            return False
        deviation = math.sqrt(self._variance)
        z = (norm - self._mean) / (deviation + 1e-6)
        if z > 2.5:
            norm = self._mean + 2.5 * deviation * 2.5 / z
        self._mean = 0.97 * self._mean + 0.03 * norm
        self._variance = 0.97 * self._variance + 0.03 * (norm - self._mean) * (norm - self._mean)
        return z > 2.5


class SkipStep:
    """OLMo-core, which skips the step: 6 deviations over the newest 128 steps, loss and grad norm, from 64 on."""

    def __init__(self) -> None:
        self._windows = {"loss": Window(128), "grad_norm": Window(128)}

    def fires(self, r: Reading) -> bool:
        """One of both is that far from its mean, to whichever side, or cannot be compared."""
        out = False
        for name, window in self._windows.items():
            value = r.values.get(name)
            if value is not None:
                out = out or (len(window) >= 63 and not abs(value - window.mean) <= 6 * window.deviation)
                window.add(value)
        return out


class SpikeDetection:
    """Lightning: `window` 10, `rtol` 2, `warmup` 1."""

    def __init__(self) -> None:
        self._window = Window(10)
        self._last = 0.0

    def fires(self, r: Reading) -> bool:
        """The loss rose and is at least three times the mean of 10, or is not finite."""
        loss = r.values.get("loss")
        if loss is None:
            return False
        if len(self._window) and not math.isfinite(loss):
            return True
        mean = self._window.mean
        if len(self._window) and loss > self._last and abs(loss - mean) >= abs(2 * mean):
            return True
        self._window.add(loss)
        self._last = loss
        return False


class KillLossSpike:
    """llm-foundry: `window_size` 100, `outlier_multiplier` 2, `patience` 4, `loss_cap` 10."""

    def __init__(self) -> None:
        self._window = Window(100)
        self._high: deque[bool] = deque(maxlen=100)
        self._outliers = self._seen = 0

    def fires(self, r: Reading) -> bool:
        """Five losses in a row are twice the mean of 100, or half of 100 losses are above 10 after 200."""
        loss = r.values.get("loss")
        if loss is None:
            return False
        full, self._seen = len(self._window) == 100, self._seen + 1
        if full:
            self._outliers = self._outliers + 1 if loss >= 2 * self._window.mean else 0
        capped = full and self._seen > 200 and sum(self._high) >= 50
        self._window.add(loss)
        self._high.append(loss > 10)
        return full and (self._outliers > 4 or capped)


class SpikyLoss:
    """Megatron-LM's check for a spiky loss: ten times the largest of the first 100 losses."""

    def __init__(self) -> None:
        self._seen, self._largest = 0, 0.0

    def fires(self, r: Reading) -> bool:
        """The loss is that large; NaN and infinities are left to another check."""
        loss = abs(r.values.get("loss", math.nan))
        if not math.isfinite(loss):
            return False
        if self._seen < 100:
            self._seen, self._largest = self._seen + 1, max(self._largest, loss)
            return False
        return loss >= 10 * self._largest


class NaNMonitor:
    """Composer."""

    def fires(self, r: Reading) -> bool:
        """The loss is NaN."""
        return math.isnan(r.values.get("loss", 0.0))


class NonDecreasing:
    """TheDeepChecker: `period` 10, `window_size` 5, `decr_percentage` 0.05."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=5)
        self._seen = 0

    def fires(self, r: Reading) -> bool:
        """In none of the last four checks, 10 losses apart, the loss fell by 5 %."""
        loss = r.values.get("loss")
        if loss is None:
            return False
        self._seen += 1
        if self._seen % 10 != 1:
            return False
        self._losses.append(loss)
        pairs = list(pairwise(self._losses))
        return len(pairs) == 4 and all(before - after < 0.05 * before for before, after in pairs)


@dataclass(frozen=True, slots=True)
class Peer:
    """A rule of another tool."""

    name: str
    make: Callable[[], Rule]


PEERS = (
    Peer("SageMaker LossNotDecreasing", LossNotDecreasing),
    Peer("SageMaker Overfit", Overfit),
    Peer("SageMaker VanishingGradient", VanishingGradient),
    Peer("SageMaker WeightUpdateRatio", WeightUpdateRatio),
    Peer("SageMaker ExplodingTensor", ExplodingTensor),
    Peer("grad norm < 1e-6", Floor),
    Peer("AutoTrainer gradient vanish", Vanish),
    Peer("AutoTrainer gradient explode", Explode),
    Peer("AutoTrainer dying ReLU", DyingReLU),
    Peer("ZClip z > 2.5", ZClip),
    Peer("OLMo-core 6 sigma of 128", SkipStep),
    Peer("Lightning SpikeDetection", SpikeDetection),
    Peer("llm-foundry KillLossSpike", KillLossSpike),
    Peer("Megatron-LM spiky loss", SpikyLoss),
    Peer("Composer NaNMonitor", NaNMonitor),
    Peer("TheDeepChecker NonDecreasing", NonDecreasing),
)
"""The rules that are compared."""


def fired(peers: Sequence[Peer], records: Iterable[Record]) -> dict[str, tuple[Span, ...]]:
    """By name, the alarms of each rule; one that pauses for `GAP` logged steps or fewer is one."""
    rules = [(peer.name, peer.make()) for peer in peers]
    alarms: dict[str, list[Span]] = {name: [] for name, _ in rules}
    newest = dict.fromkeys(alarms, -math.inf)
    count, step = 0, math.nan
    for reading in readings(records):
        count, step = count + (reading.step != step), reading.step
        for name, rule in rules:
            if rule.fires(reading):
                goes_on = count - newest[name] <= GAP
                first = alarms[name].pop()[0] if goes_on else step
                alarms[name].append((first, step))
                newest[name] = count
    return {name: tuple(spans) for name, spans in alarms.items()}
