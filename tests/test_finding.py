import dataclasses

from gradtop.finding import Criterion, Finding, FindingState, Severity, Standing


def finding(*met: bool | None) -> Finding:
    criteria = tuple(Criterion(str(i), "text", one, "evidence") for i, one in enumerate(met))
    return Finding(
        kind="loss_spike",
        scope="loss",
        severity=Severity.NOTICE,
        state=FindingState.ACTIVE,
        first_step=14.0,
        last_step=15.0,
        raised_step=14.0,
        count=2,
        message="message",
        criteria=criteria,
    )


def test_only_what_is_met_counts() -> None:
    assert finding(True, False, None, True).met == 2


def test_the_id_names_kind_scope_and_first_step() -> None:
    assert finding().id == "loss_spike:loss:14"


def test_severities_are_ordered_and_have_words() -> None:
    assert Severity.NOTICE < Severity.WATCH < Severity.INTERVENE
    assert [severity.word for severity in Severity] == ["notice", "watch", "intervene"]


def test_ids_tell_apart_what_began_at_neighbouring_or_at_the_same_step() -> None:
    first, next_, again = (
        dataclasses.replace(finding(), first_step=step, nth=nth) for step, nth in ((1e6, 1), (1e6 + 1, 1), (1e6, 2))
    )
    assert len({first.id, next_.id, again.id}) == 3


def test_only_what_is_open_holds_and_is_more_than_a_notice_counts() -> None:
    watch = dataclasses.replace(finding(), severity=Severity.WATCH)
    assert watch.counts
    assert not finding().counts
    assert not dataclasses.replace(watch, state=FindingState.RECOVERED).counts
    assert not any(
        dataclasses.replace(watch, standing=standing).counts for standing in (Standing.ACKNOWLEDGED, Standing.MUTED)
    )
