"""What an entry of the catalogue holds."""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at or to change next."""

    text: str
    """May have fields like `{lr}`, filled with this run's own numbers."""
    otherwise: str = ""
    """What to say where a number is not known; empty: nothing. It may have fields as well."""

    @property
    def fields(self) -> frozenset[str]:
        """All numbers that it uses."""
        return _fields(self.text) | _fields(self.otherwise)

    def filled(self, numbers: Mapping[str, str]) -> str:
        """The check for a run with these numbers; empty where too few are known."""
        known = numbers.keys()
        return next((text.format_map(numbers) for text in (self.text, self.otherwise) if _fields(text) <= known), "")


def _fields(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name)


@dataclass(frozen=True, slots=True)
class Advice:
    """Causes and checks of one form of a kind, instead of those of the kind."""

    causes: tuple[str, ...]
    """Most likely first."""
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding."""

    id: str
    title: str
    meaning: str
    severity: str
    """When it is a notice, when it is worth watching, and when to intervene."""
    limits: tuple[str, ...]
    """Names of the fields of `Limits` that it depends on."""
    criteria: tuple[tuple[str, str], ...]
    """(id, text): the conditions of its checklist."""
    causes: tuple[str, ...]
    """Most likely first."""
    checks: tuple[Check, ...]
    reference: str
    """Where the rule comes from, or what its defaults were measured on."""
    needs: str
    """What a log has to have, so that it can be told."""
    forms: Mapping[str, Advice] = field(default_factory=dict)
    """Forms of the kind that call for other advice."""

    def advice(self, form: str = "") -> Advice:
        """Causes and checks of a form; those of the kind where it has none of its own."""
        return self.forms.get(form) or Advice(self.causes, self.checks)


FIELDS = frozenset(
    {
        "lr", "lr_lower", "lr_higher", "first_step", "first_layers", "before", "warmup", "warmup_longer",
        "clip", "floor", "below_floor", "precision", "loss", "line", "pid", "rows",
        "warmup_ended", "usual_grad", "effective_lr", "planned", "lr_before", "lr_after",
        "usual_time", "time", "full", "share", "device", "reasons",
        "best_step", "lr_half", "val_loss", "layers", "ratio", "ranks",
    }
)  # fmt: skip
"""The numbers of a run that checks may use; each is left out where it is not known."""
