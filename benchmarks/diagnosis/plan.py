"""What a run of the benchmark is: its label by construction, what is trained and logged, and what happens."""

from dataclasses import dataclass

from .change import Change
from .models import Shape


@dataclass(frozen=True, slots=True)
class Config:
    """What is true of a run by construction, whatever any detector says of it."""

    name: str
    healthy: bool
    kinds: tuple[str, ...]
    """Kinds that an expert accepts for a faulty run, the first one the primary cause; empty for a healthy one."""
    onset: int | None
    """The step at which the fault begins; None for a healthy run."""
    steps: int
    what: str
    """What happens in the run, in one sentence."""


MLP = Shape()
"""Three layers, the usual network of the runs."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate over the steps: a linear warm-up to `lr`, then a course of `kind`."""

    lr: float = 1e-3
    kind: str = "constant"
    """`constant`, `cosine` or `linear` (to `floor` at the planned end), `steps` (x 0.1 at 1/2 and 3/4), `restarts`."""
    warmup: int = 0
    floor: float = 0.0
    """What is left of `lr` at the end, 0 to 1."""
    period: int = 200
    """Steps between warm restarts."""


@dataclass(frozen=True, slots=True)
class Log:
    """What the training loop writes down."""

    every: int = 1
    """Steps between rows; the loss of a row is the mean since the row before."""
    layers: int = 5
    """Steps between records per layer; 0: none."""
    lr: bool = True
    norm: str = "pre_clip"
    """When the gradient norm is read: `pre_clip`, `post_clip`, `after_zero_grad`, or `` for never."""
    facts: bool = True
    """The run says what it plans: total steps, warm-up, peak rate, clip norm, optimizer, parameters."""
    machine: bool = False
    """Rows have the time of the step, of its data, tokens a second and the memory in use."""
    validation: int = 0
    """Steps between validation losses; 0: none."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that decides what a run's stream is, but for its seed."""

    task: str = "digits"
    shape: Shape = MLP
    batch: int = 32
    optimizer: str = "adam"
    """`adam`, `adamw`, `sgd`, `momentum`."""
    eps: float = 1e-8
    """Of Adam."""
    schedule: Schedule = Schedule()
    clip: float | None = None
    loss_factor: float = 1.0
    label_noise: float = 0.0
    """Share of the training labels that are wrong for good."""
    objective: str = "usual"
    """`usual` (cross-entropy or squared error), `twice` (softmax before the cross-entropy), `gaussian` (likelihood)."""
    samples: int | None = None
    """Training samples in use; None: all."""
    whole: bool = False
    """Every step sees all samples in use."""
    frozen: tuple[str, ...] = ()
    """Layers, by the start of their names, that ask for no gradient."""
    left_out: tuple[str, ...] = ()
    """Layers that the optimizer was not given."""
    ascend: bool = False
    """The optimizer maximises."""
    scaler: bool = False
    """Mixed precision with a loss scale."""
    pretrained: int = 0
    """Steps that were trained before the log begins."""
    log: Log = Log()
    changes: tuple[Change, ...] = ()
    """What happens on the way."""


CNN = Shape("cnn")
GRU = Shape("gru", width=32)
TRANSFORMER = Shape("transformer", depth=4, width=32)
PRE_TRAINING = Schedule(lr=3e-3, kind="cosine", warmup=100, floor=0.1)
TEXT = Setup(
    task="text",
    shape=TRANSFORMER,
    batch=8,
    optimizer="adamw",
    schedule=PRE_TRAINING,
    clip=1.0,
    log=Log(layers=10),
)
"""A transformer that learns to write Python, as one would set it up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration: its label, and how its stream is made."""

    config: Config
    setup: Setup


def healthy(name: str, steps: int, what: str, setup: Setup) -> Plan:
    """A run in which nothing is wrong."""
    return Plan(Config(name, True, (), None, steps, what), setup)


def faulty(name: str, onset: int, steps: int, kinds: str, what: str, setup: Setup) -> Plan:
    """A run with a fault; `kinds` are words, the primary cause first."""
    return Plan(Config(name, False, tuple(kinds.split()), onset, steps, what), setup)


UPWARD = "loss_divergence loss_spike gradient_exploding"
"""What a loss that is thrown up may be called."""
