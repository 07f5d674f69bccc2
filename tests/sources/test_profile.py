"""A profile reads the user's own lines; one that could not, or could hang, is refused with a remedy."""

import dataclasses

import pytest
from reading import read

from gradtop.config import Profile
from gradtop.errors import ConfigError
from gradtop.record import Rows
from gradtop.sources.text.profile import MAX_CHARS, rule_of, rules_of, shadowed
from gradtop.sources.text.reader import TextReader

OWN = Profile(
    "my loop",
    regex=r"^\[(?P<step>\d+)\] L=(?P<loss>\S+) G=(?P<gn>\S+) q=(?P<quality>[\d.]+)%?",
    sample="[12] L=2.5 G=0.8 q=31.5%",
    names=(("gn", "grad_norm"), ("quality", "val/quality")),
    origin="gradtop.toml, line 3",
)
LOG = "[1] L=2.5 G=0.8 q=30\nsomething else\n[2] L=nan G=1e3 q=31\n2026-11-23 14:36:09 [3] L=2.25 G=n/a q=32\n"


def with_regex(regex: str, sample: str = "12 L=2.5") -> Profile:
    return Profile("p", regex, sample, origin="gradtop.toml, line 1")


def test_lines_that_no_other_rule_reads_become_rows() -> None:
    reader = TextReader(rules_of([OWN]))
    rows = [record for record in read(reader, LOG) if isinstance(record, Rows)]
    assert [list(block.steps) for block in rows] == [[1, 2], [3]]
    assert list(rows[0].columns["grad_norm"]) == [0.8, 1000.0]
    assert list(rows[1].columns["val/quality"]) == [32.0]
    assert "grad_norm" not in rows[1].columns
    assert str(rows[0].columns["loss"][1]) == "nan"
    assert reader.account.rules["my loop"].count == 3
    assert not [record for record in read(TextReader(), LOG) if isinstance(record, Rows)]


def test_names_that_are_not_known_are_kept_and_make_a_row() -> None:
    profile = with_regex(r"^(?P<step>\d+) fid (?P<fid>\S+)", "7 fid 31.5")
    (rows,) = read(TextReader(rules_of([profile])), "7 fid 31.5\n8 fid 30\n")
    assert isinstance(rows, Rows)
    assert (list(rows.steps), list(rows.columns["fid"])) == ([7, 8], [31.5, 30.0])


def test_the_other_rules_still_read_what_the_profile_does_not() -> None:
    (rows,) = read(TextReader(rules_of([OWN])), "step 1 loss 2.5\nstep 2 loss 2.4\n")
    assert isinstance(rows, Rows)
    assert list(rows.steps) == [1, 2]


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        (with_regex(r"(?P<loss>\d+"), "regex: missing ), unterminated subpattern"),
        (with_regex(r"\d+ L=\S+"), r"has no named group; write (?P<loss>...)"),
        (with_regex(r"^(?P<loss>\d+)x"), "sample: the regex does not match '12 L=2.5'"),
        (with_regex(r"(?P<loss>[A-Z])="), "none of its groups holds a number"),
        (with_regex(r"^(?P<step>\d+) L"), "only a step, an epoch or a time is read"),
        (dataclasses.replace(OWN, names=(("gm", "grad_norm"),)), "no group 'gm'; did you mean 'gn'?"),
        (dataclasses.replace(OWN, names=(("gn", "loss"),)), "two groups are called 'loss'"),
        (with_regex(r"(?P<loss>\d+)", "1" * (MAX_CHARS + 1)), "is longer than 2,000 characters"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_place_and_a_remedy(profile: Profile, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        rule_of(profile)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{profile.origin}: profile {profile.name!r}: ")


@pytest.mark.parametrize(
    "regex",
    [
        r"^(?P<step>(\d+)+) L=(?P<loss>\S+)",
        r"(?P<step>(?:\w+\s*)*)=(?P<loss>[\d.]+)",
        r"(?P<step>\d+).*?.*?.*?L=(?P<loss>\S+)",
        r"^(?:.*\s)*(?P<step>\d+) L=(?P<loss>\S+)",
        r"(?P<step>\d+)(?: L|.*)*=(?P<loss>\S+)",
    ],
)
def test_a_regex_that_could_hang_is_refused_soon(regex: str) -> None:
    with pytest.raises(ConfigError, match="takes longer than 50 ms; begin it with"):
        rule_of(with_regex(regex))


@pytest.mark.parametrize(
    "regex",
    [
        r"^(?P<step>\d+) L=(?P<loss>\S+)",
        r"^(?P<step>\d+).*L=(?P<loss>[-+.\w]+)",
        r"L=(?P<loss>[^,]+)",
        r"\bL\s*[=:]\s*(?P<loss>[\d.]+(?:e[-+]?\d+)?)",
    ],
)
def test_ordinary_ones_are_taken(regex: str) -> None:
    assert rule_of(with_regex(regex)).read("12 L=2.5")


def test_a_longer_line_is_not_tried() -> None:
    assert rule_of(with_regex(r"L=(?P<loss>[\d.]+)")).read("x" * MAX_CHARS + " L=2.5") is None


def test_a_profile_for_what_is_read_anyway_is_told() -> None:
    assert shadowed(OWN) == ""
    known = with_regex(r"step (?P<step>\d+) loss (?P<loss>\S+)", "step 12 loss 2.5")
    assert shadowed(known) == "gradtop.toml, line 1: profile 'p': its sample is read without it too (loss)"
