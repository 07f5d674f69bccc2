from gradtop.record import Restart
from gradtop.sources.rows.past import Past


def given(past: Past, rows: str) -> list[str]:
    """What a file with these rows gives: rows, and `<reason>` where a session begins."""
    told: list[str] = []
    for row in rows:
        before = past.admit(row)
        if before is not None:
            told += [f"<{record.reason}>" for record in before if isinstance(record, Restart)] + [row]
    return told


def test_only_what_was_not_there_is_given() -> None:
    past = Past()
    assert given(past, "abc") == ["a", "b", "c"]
    past.rewind("replaced")
    assert past.repeating
    assert given(past, "abcd") == ["d"]
    assert not past.repeating


def test_what_differs_is_where_another_session_begins() -> None:
    past = Past()
    given(past, "abcd")
    past.rewind("replaced")
    assert given(past, "abxd") == ["<resumed>", "x", "d"]
    past.rewind("truncated")
    assert given(past, "zb") == ["<truncated>", "z", "b"]


def test_a_file_that_was_cut_short_goes_on_from_there() -> None:
    past = Past()
    given(past, "abcd")
    past.rewind("truncated")
    assert given(past, "ab") == []
    assert given(past, "y") == ["<resumed>", "y"]


def test_many_rows_at_once_are_the_same_rows() -> None:
    past = Past()
    past.extend("abc")
    past.rewind("replaced")
    assert given(past, "abcd") == ["d"]
