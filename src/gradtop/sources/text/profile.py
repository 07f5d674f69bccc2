"""The user's own profiles: a regular expression with named groups becomes a rule for lines, once its sample is read."""

import difflib
import re
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

from gradtop.config import Profile
from gradtop.errors import ConfigError
from gradtop.record import Rows
from gradtop.sources.fields.number import parse
from gradtop.sources.fields.prefix import strip_prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.reader import Rule, TextReader

MAX_CHARS = 2_000
"""Characters of the longest line that a profile is tried on; a line for people is shorter."""
SLOWEST_S = 0.05
"""Seconds of computing that one line may cost. The matcher cannot be interrupted, so that nothing else would go on."""
_LENGTHS = (*range(4, 25, 2), 32, 64, 128, 256, 512, 1024, MAX_CHARS)
_TRIED = 16
_COUNTERS = frozenset(("step", "epoch", "time"))


def rules_of(profiles: Sequence[Profile]) -> tuple[Rule, ...]:
    """The rules of profiles, in their order.

    Raises:
        ConfigError: a profile cannot be used; the sentence says why and what to do.
    """
    return tuple(rule_of(profile) for profile in profiles)


@lru_cache(maxsize=256)
def rule_of(profile: Profile) -> Rule:
    """The rule of one profile.

    Raises:
        ConfigError: the regex is not valid, has no named group, does not read the sample, or takes too long.
    """
    try:
        regex = re.compile(profile.regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise _error(profile, f"regex: {error}") from None
    names = _names(profile, regex)

    def read(text: str) -> Fields | None:
        if len(text) > MAX_CHARS or (match := regex.search(text)) is None:
            return None
        found = [(name, parse(match[group])) for group, name in names if match[group] is not None]
        return [(name, number) for name, number in found if number is not None] or None

    sample = strip_prefix(profile.sample).rest
    fields = read(sample)
    if fields is None:
        raise _error(profile, f"sample: {_why_not(regex, sample)}")
    if not {name for name, _ in fields} - _COUNTERS:
        raise _error(profile, "sample: only a step, an epoch or a time is read from it; name a group for a metric")
    if (line := _slow_line(regex, sample)) is not None:
        raise _error(
            profile,
            f"regex: a line such as {line[:40]!r}... takes longer than {SLOWEST_S * 1000:.0f} ms; "
            r"begin it with ^ or with fixed text, and write \S+ or [^,]+ instead of nested or repeated .*",
        )
    return Rule(profile.name, read, structured=True, groups=tuple((name, group) for group, name in names))


def shadowed(profile: Profile) -> str:
    """A sentence where the sample is read without the profile as well; empty where only the profile reads it."""
    reader = TextReader()
    records = [*reader.feed([Line(1, profile.sample.encode())]), *reader.finish()]
    names = sorted({name for record in records if isinstance(record, Rows) for name in record.columns})
    if not names:
        return ""
    return f"{profile.origin}: profile {profile.name!r}: its sample is read without it too ({', '.join(names)})"


def _names(profile: Profile, regex: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
    """(group, metric name) of every named group."""
    if not regex.groupindex:
        raise _error(profile, "regex: has no named group; write (?P<loss>...) around each number")
    given = dict(profile.names)
    for group in given.keys() - regex.groupindex.keys():
        near = difflib.get_close_matches(group, regex.groupindex, 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; its groups are {', '.join(regex.groupindex)}"
        raise _error(profile, f"names: the regex has no group {group!r}{hint}")
    names = tuple((group, given.get(group, group)) for group in regex.groupindex)
    twice = next((name for _, name in names if sum(other == name for _, other in names) > 1), None)
    if twice is not None:
        raise _error(profile, f"names: two groups are called {twice!r}; a line has one value of a name")
    return names


def _why_not(regex: re.Pattern[str], sample: str) -> str:
    if len(sample) > MAX_CHARS:
        return f"is longer than {MAX_CHARS:,} characters, which no line is read of"
    if regex.search(sample) is None:
        return f"the regex does not match {sample[:80]!r}"
    return "the regex matches it, and none of its groups holds a number"


def _slow_line(regex: re.Pattern[str], sample: str) -> str | None:
    """A line that costs more than `SLOWEST_S`; None where none of those tried does.

    Tried are lines that repeat a part of the sample and then break off: what makes a matcher go back over and over.
    They grow, so that the first one that is too slow is not much too slow.
    """
    for start, unit in _repeated(sample):
        for length in _LENGTHS:
            line: str = (start + unit * (length // len(unit)))[: MAX_CHARS - 1] + "\0"
            before = time.thread_time()
            regex.search(line)
            if time.thread_time() - before > SLOWEST_S:
                return line
    return None


def _repeated(sample: str) -> Iterator[tuple[str, str]]:
    """(what stands before, what is repeated): the characters at which the kind of character changes, and the whole."""
    runs = [match.start() for match in re.finditer(r"\d+|[^\W\d]+|\s+|[^\w\s]+", sample)]
    for at in runs[:: max(1, len(runs) // _TRIED)]:
        yield sample[:at], sample[at]
    for unit in dict.fromkeys(("1", "a", " ", "a ", "1 ", sample)):
        yield "", unit


def _error(profile: Profile, what: str) -> ConfigError:
    return ConfigError(f"{profile.origin}: profile {profile.name!r}: {what}")
