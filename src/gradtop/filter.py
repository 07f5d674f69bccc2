"""Which of many names to show: what a user types, and whether a name is meant. Pure but for the trial of expressions.

loss val      both are in the name          loss | acc    one of them is
!eval         it is not                     "two words"   with the blank between them
/^val.*loss/  a regular expression          state:live    in a field that the list has
"""

import re
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Self

from gradtop.errors import FilterError

MOST_CHARS = 300
"""Characters of the longest filter: it stands in one line."""
NAME_CHARS = 256
"""Characters of a name that an expression is tried on; plain words are looked for in all of it."""
SLOWEST_S = 0.01
"""Seconds of computing that an expression may take for one name. The matcher cannot be interrupted."""
_LENGTHS = (*range(4, 25, 2), 32, 64, 128, NAME_CHARS)
_TRIED = 24
_TOKEN = re.compile(
    r"""(?P<or>\|)
    | (?P<not>!*)
      (?: /(?P<regex>(?:\\(?:.|\Z)|[^\\])*?)(?:/(?=[\s|]|\Z)|\Z)
        | (?P<word>(?:"[^"]*"?|[^\s|"])+)
        | (?<=!) )""",
    re.VERBOSE | re.DOTALL,
)
"""A term ends at a blank or `|`; one that is still being typed ends with the text."""
_CAPITAL = re.compile(r"\\.|\(\?P?<\w+>|([A-Z]|[^\W\d_a-z])", re.DOTALL)
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for."""

    text: str
    """In lower case, unless capitals count."""
    field: str = ""
    """Where to look; empty: in the name."""
    negated: bool = False
    capitals: bool = False
    """It has capitals, so they count."""
    regex: re.Pattern[str] | None = None

    def holds(self, texts: Collection[str]) -> bool:
        """It is in one of the texts; or, negated, in none."""
        return any(map(self._in, texts)) != self.negated

    def _in(self, text: str) -> bool:
        if self.regex is not None:
            return self.regex.search(text[:NAME_CHARS]) is not None
        return self.text in (text if self.capitals else text.lower())


@dataclass(frozen=True, slots=True)
class Filter:
    """Admits a name for which every term of one of the alternatives holds; without any, every name."""

    text: str = ""
    """As it was typed."""
    alternatives: tuple[tuple[Term, ...], ...] = ()

    def __bool__(self) -> bool:
        """It may leave something out."""
        return bool(self.alternatives)

    def admits(self, *names: str, fields: Mapping[str, str] = _NO_FIELDS) -> bool:
        """Something that goes by these names, with these values of its fields, is meant."""
        if not self.alternatives:
            return True
        return any(
            all(term.holds((fields.get(term.field, ""),) if term.field else names) for term in terms)
            for terms in self.alternatives
        )


@dataclass(frozen=True, slots=True)
class Typed:
    """A filter while it is typed: the last one that could be used holds until the next one can."""

    text: str = ""
    filter: Filter = Filter()
    problem: str = ""
    """What is wrong with the text; it quotes it."""

    def retyped(self, text: str, fields: Collection[str] = ()) -> Self:
        """The same after another key."""
        try:
            return type(self)(text, parsed(text, fields))
        except FilterError as error:
            return type(self)(text, self.filter, str(error))


def parsed(text: str, fields: Collection[str] = ()) -> Filter:
    """The filter that a text says. `fields` can be named in it: `state:live`.

    Raises:
        FilterError: it is too long, or has an expression that is wrong or could hang.
    """
    if len(text) > MOST_CHARS:
        raise FilterError(f"a filter has at most {MOST_CHARS} characters, and this one has {len(text):,}")
    alternatives: list[tuple[Term, ...]] = [()]
    for token in _TOKEN.finditer(text):
        if token["or"]:
            alternatives.append(())
        elif (term := _term(token, fields)) is not None:
            alternatives[-1] += (term,)
    return Filter(text, tuple(filter(None, alternatives)))


def _term(token: re.Match[str], fields: Collection[str]) -> Term | None:
    """The term of a token; None while there is nothing to look for in it."""
    negated = len(token["not"]) % 2 == 1
    if token["regex"]:
        regex = expression(token["regex"])
        return Term(token["regex"], negated=negated, regex=regex)
    word = token["word"] or ""
    field, colon, rest = word.partition(":")
    field, word = (field, rest) if colon and field in fields else ("", word)
    word = word.replace('"', "")
    capitals = _has_capital(word)
    return Term(word if capitals else word.lower(), field, negated, capitals) if word else None


def _has_capital(pattern: str) -> bool:
    """A capital is looked for, as opposed to `\\S` or the name of a group."""
    return any(match[1] and match[1].isupper() for match in _CAPITAL.finditer(pattern))


@lru_cache(maxsize=128)
def expression(pattern: str) -> re.Pattern[str]:
    """A regular expression that can be tried on names while somebody waits; capitals count where it has any.

    Raises:
        FilterError: it is not valid, or could take longer than `SLOWEST_S` for one name.
    """
    try:
        with warnings.catch_warnings():  # `[[` may mean something else one day; a warning would be printed
            warnings.simplefilter("ignore")
            regex = re.compile(pattern, 0 if _has_capital(pattern) else re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise FilterError(f"/{pattern}/: {error}") from None
    if any(_takes_long(regex, start, unit) for start, unit in _repeated(pattern)):
        raise FilterError(f"/{pattern}/: could take too long: write \\S+ or [^/]+ instead of nested or repeated .*")
    return regex


def _takes_long(regex: re.Pattern[str], start: str, unit: str) -> bool:
    """Names that repeat something and then break off, longer and longer, become too slow."""
    for length in _LENGTHS:
        name = (start + unit * (length // len(unit)))[: NAME_CHARS - 1] + "\0"
        before = time.thread_time()
        regex.search(name)
        if time.thread_time() - before > SLOWEST_S:
            return True
    return False


def _repeated(pattern: str) -> Iterator[tuple[str, str]]:
    """(what stands before, what is repeated): what the expression itself looks for, after what it wants before that."""
    words = list(re.finditer(r"[^\W_]+", pattern))[:_TRIED]
    for word in words:
        start = re.sub(r"\\.|[^\w ./-]", "", pattern[: word.start()])
        yield from ((start, unit) for unit in dict.fromkeys((word[0], word[0][0], word[0][-1])))
    yield from (
        ("", unit) for unit in ("a", "1", " ", "a ", "a.", "a/", "a_1", "".join(word[0] for word in words) or "-")
    )
