"""The catalogue of rules with the limits that hold, as text of 80 columns and as the documented JSON."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from gradtop import config
from gradtop.catalogue import KINDS, PRECEDENCE, Advice, Check, Kind
from gradtop.clean import clean
from gradtop.config import AUTO, Limits, Settings
from gradtop.units import setting

SCHEMA = "gradtop.rules/1"
WIDTH = 80
"""Columns of the text, where words allow."""
_LABEL = 11
_DEFAULTS = Limits()


def listed(names: Sequence[str]) -> tuple[Kind, ...]:
    """Kinds in their order of precedence: those with these names, or all where none is named."""
    return tuple(KINDS[id] for id in PRECEDENCE if id in KINDS and (not names or id in names))


def document(settings: Settings, kinds: Sequence[Kind]) -> dict[str, Any]:
    """The `check --list-rules --json` document."""
    return {
        "schema": SCHEMA,
        "profile": settings.limits.profile,
        "profile_set_in": settings.origins.get("profile"),
        "rules": [_rule(kind, settings) for kind in kinds],
    }


def _rule(kind: Kind, settings: Settings) -> dict[str, Any]:
    return {
        "kind": kind.id,
        "title": kind.title,
        "meaning": kind.meaning,
        "severity": kind.severity,
        "muted": kind.id in settings.muted,
        "needs": kind.needs,
        "limits": [_limit(name, settings) for name in kind.limits],
        "criteria": [{"id": id, "text": text} for id, text in kind.criteria],
        "causes": list(kind.causes),
        "checks": [_check(check) for check in kind.checks],
        "forms": {
            form: {"causes": list(advice.causes), "checks": [_check(check) for check in advice.checks]}
            for form, advice in kind.forms.items()
        },
        "reference": kind.reference,
    }


def _limit(name: str, settings: Settings) -> dict[str, Any]:
    return {
        "name": name,
        "value": getattr(settings.limits, name),
        "default": getattr(_DEFAULTS, name),
        "set_in": settings.origins.get(name),
        "meaning": meanings().get(name, ""),
    }


@cache
def meanings() -> Mapping[str, str]:
    """What each limit means: the docstrings of `Limits`; empty where Python's sources are not installed."""
    try:
        tree = ast.parse(inspect.getsource(config))
    except OSError:
        return {}
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == Limits.__name__)
    return {
        before.target.id: " ".join(str(after.value.value).split())
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def lines(settings: Settings, kinds: Sequence[Kind]) -> Iterator[str]:
    """The kinds as plain text, cleaned for a terminal."""
    if settings.limits.profile != AUTO:
        yield clean(f"profile {settings.limits.profile}, set in {settings.origins.get('profile', '')}")
        yield ""
    for i, kind in enumerate(kinds):
        if i:
            yield ""
        yield from _kind(kind, settings)


def _kind(kind: Kind, settings: Settings) -> Iterator[str]:
    yield f"{kind.id}  {kind.title}"
    yield from _labelled("meaning", kind.meaning)
    yield from _labelled("severity", kind.severity)
    if kind.id in settings.muted:
        yield from _labelled("muted", f"listed, never counts: {settings.origins.get('mute', '')}")
    yield from _labelled("needs", kind.needs)
    for name in kind.limits:
        yield from _labelled("limit", _limit_line(name, settings))
    for _, text in kind.criteria:
        yield from _labelled("criterion", text)
    yield from _advice(kind.advice())
    for form, advice in kind.forms.items():
        # A form with fewer causes and nothing new is not worth its lines.
        if not set(advice.causes) <= set(kind.causes):
            yield from _labelled("form", form)
            yield from _advice(advice)
    yield from _labelled("source", kind.reference)


def _advice(advice: Advice) -> Iterator[str]:
    for text in advice.causes:
        yield from _labelled("cause", text)
    for check in advice.checks:
        yield from _labelled("next", _check(check))


def _limit_line(name: str, settings: Settings) -> str:
    """`spike_z = 8, set in gradtop.toml, line 3; default 6: ...`."""
    value, default = getattr(settings.limits, name), getattr(_DEFAULTS, name)
    origin = settings.origins.get(name, "")
    told = f", set in {origin}; default {_value(default)}" if origin else ""
    return f"{name} = {_value(value)}{told}: {meanings().get(name, '')}".removesuffix(": ")


def _value(value: float | str | None) -> str:
    if isinstance(value, str | None):
        return value or "none"
    return setting(value) if abs(value) < 1e6 else f"{value:g}"


def _check(check: Check) -> str:
    """The check without a run: with the names of its numbers."""
    return check.text.format_map({name: f"<{name.replace('_', ' ')}>" for name in check.fields})


def _labelled(label: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        clean(text),
        WIDTH,
        initial_indent=f"  {label:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
