"""What the user said of findings: how it weighs, and how it is written down."""

import msgspec
import pytest

from gradtop.attention import (
    MAX_BYTES,
    MAX_ENTRIES,
    Acknowledged,
    Attention,
    Entry,
    Muted,
    NewerFile,
    attention,
    changed,
    decoded,
    encoded,
    plain,
)
from gradtop.errors import SourceError
from gradtop.finding import Finding, FindingState, Severity, Standing


def finding(kind: str, severity: Severity, step: float = 300.0, scope: str = "total") -> Finding:
    return Finding(kind, scope, severity, FindingState.ACTIVE, step, step, step, 1, "")


def known(id: str, at: float = 1.0, run: str = "train.log") -> Acknowledged:
    return Acknowledged(run, id, "watch", at)


def test_what_is_acknowledged_counts_again_when_it_gets_worse() -> None:
    said = Attention({"loss_spike:total:300": Severity.WATCH})
    standings = [said.weighed((finding("loss_spike", severity),))[0].standing for severity in Severity]
    assert standings == [Standing.ACKNOWLEDGED, Standing.ACKNOWLEDGED, Standing.OPEN]


def test_an_acknowledgement_is_for_one_finding_and_not_for_its_return() -> None:
    said = Attention({"loss_spike:total:300": Severity.WATCH})
    (later,) = said.weighed((finding("loss_spike", Severity.WATCH, 400.0),))
    assert (later.standing, later.counts) == (Standing.OPEN, True)


@pytest.mark.parametrize(
    "said", [Attention(muted=frozenset(("overfitting",))), Attention(everywhere=frozenset(("overfitting",)))]
)
def test_a_muted_kind_never_counts(said: Attention) -> None:
    overfitting, spike = said.weighed(
        (finding("overfitting", Severity.INTERVENE), finding("loss_spike", Severity.WATCH))
    )
    assert (overfitting.standing, overfitting.counts) == (Standing.MUTED, False)
    assert (spike.standing, spike.counts) == (Standing.OPEN, True)


def test_nothing_said_changes_nothing() -> None:
    findings = (finding("loss_spike", Severity.WATCH),)
    assert Attention().weighed(findings) is findings


def test_entries_hold_for_their_run_and_mutes_for_all() -> None:
    entries = (known("a:total:1"), known("b:total:1", run="other.log"), Muted("overfitting", 1.0))
    said = attention(entries, ["train.log", "metrics.csv"])
    assert (dict(said.acknowledged), said.muted) == ({"a:total:1": Severity.WATCH}, frozenset({"overfitting"}))


def test_changes_replace_add_and_take_back() -> None:
    entries = (known("a"), known("b"))
    after = changed(
        entries, {("train.log", "a"): None, ("train.log", "b"): known("b", 9.0), ("", "c"): Muted("c", 2.0)}
    )
    assert after == (known("b", 9.0), Muted("c", 2.0))


def test_of_too_many_the_oldest_acknowledgements_are_dropped() -> None:
    new = {entry.key: entry for entry in (known(str(i), float(i)) for i in range(MAX_ENTRIES))}
    after = changed((Muted("overfitting", 0.0),), new)
    assert len(after) == MAX_ENTRIES
    assert Muted("overfitting", 0.0) in after
    assert known("0", 0.0) not in after


def test_what_is_written_is_read() -> None:
    entries: tuple[Entry, ...] = (known("a:layer:h.0:1"), Muted("overfitting", 2.5))
    assert decoded(encoded("/logs/x", entries)) == entries


def test_a_file_is_bounded_however_long_names_are() -> None:
    entries = tuple(known("x" * 5000, float(i), f"{i}") for i in range(200))
    data = encoded("/logs", entries)
    assert len(data) <= MAX_BYTES
    assert decoded(data)[-1] == entries[-1]


def test_names_that_are_no_text_can_be_kept() -> None:
    odd = finding("dead_layer", Severity.WATCH, scope="layer:\udcff")
    (entry,) = decoded(encoded("/logs/\udcff", (known(plain(odd.id)),)))
    assert attention((entry,), ["train.log"]).weighed((odd,))[0].standing is Standing.ACKNOWLEDGED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema": "other/1"}',
        b'{"schema": "gradtop.attention/1", "directory": 3}',
        b'{"schema": "gradtop.attention/1", "directory": "", "entries": [{"type": "muted", "kind": 1, "at": 0}]}',
        b"[" * 100_000,
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_is_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match="gradtop keeps there"):
        decoded(data)


def test_a_later_version_is_told_from_a_broken_file() -> None:
    with pytest.raises(NewerFile, match="newer gradtop"):
        decoded(msgspec.json.encode({"schema": "gradtop.attention/2", "pages": 3}))
