"""Places in SQL, shown under its lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.marks import MAX_COLUMNS, MAX_LINES, MAX_MARKS, Mark, rows, text_and_marks
from proxy.terms.facts import Kind, StatementFacts


def show(text: str, *marks: Mark) -> list[str]:
    """Return the rows as they are read."""
    return [
        f"{row.number} {row.text}"
        if row.number
        else f"{' ' * row.lead}{row.text} {row.what}".rstrip()
        for row in rows(text, marks)
    ]


def test_a_place_is_underlined() -> None:
    """The mark stands under its characters, with what is there behind it."""
    assert show("select * from t", Mark(14, 15, "subject relation")) == [
        "1 select * from t",
        "              ^ subject relation",
    ]


def test_each_line_has_its_own_marks() -> None:
    """Under it, in their order; one that goes on to the next line ends with its own."""
    text = "select a,\r\n b\nfrom t"

    assert show(text, Mark(7, 8, "x"), Mark(12, 20, "y"), Mark(19, 20, "z")) == [
        "1 select a,",
        "       ^ x",
        "2  b",
        " ^ y",
        "3 from t",
        "     ^ z",
    ]


@pytest.mark.parametrize(
    ("text", "mark", "shown", "under"),
    [
        ("'漢字' || x", Mark(8, 9, "m"), "1 '漢字' || x", "          ^ m"),
        ("'é' || x", Mark(7, 8, "m"), "1 'é' || x", "       ^ m"),
        ("\tx", Mark(1, 2, "m"), "1  x", " ^ m"),
        ("\x1b[31mx", Mark(5, 6, "m"), "1 \u241b[31mx", "     ^ m"),
        ("\u202ex", Mark(1, 2, "m"), "1 \ufffdx", " ^ m"),
        ("select", Mark(6, 7, "end"), "1 select", "      ^ end"),
        ("", Mark(0, 1, "end"), "1 ", "^ end"),
    ],
)
def test_columns_are_those_of_the_screen(text: str, mark: Mark, shown: str, under: str) -> None:
    """Wide characters take two, and none can move the cursor; the end of the text has a place."""
    assert show(text, mark) == [shown, under]


def test_a_long_text_is_shown_where_it_is_marked() -> None:
    """With a line before and after; what is left out is said."""
    text = "\n".join(f"line {number}" for number in range(1, 101))

    assert show(text, Mark(text.index("line 50"), text.index("line 50") + 4, "m")) == [
        "...",
        "49 line 49",
        "50 line 50",
        "^^^^ m",
        "51 line 51",
        "...",
    ]
    assert show(text) == ["1 line 1", "2 line 2", "..."]
    assert len(show("\n" * (MAX_LINES - 1))) == MAX_LINES


def test_a_long_line_is_shown_where_it_is_marked() -> None:
    """In as many parts as it has marks that are far from each other."""
    text = f"from a where id in ({', '.join('1' * 900)}) limit 7"

    found = show(text, Mark(5, 6, "first"), Mark(len(text) - 1, len(text), "last"))

    assert [line[-9:] for line in found] == ["1, 1, ...", "  ^ first", ") limit 7", "   ^ last"]
    assert all(len(line) <= MAX_COLUMNS + 10 for line in found)
    assert found[3].index("^") + 2 == found[2].rindex("7")


def test_too_many_places_are_counted() -> None:
    """A text of a thousand relations is not a thousand rows."""
    marks = [Mark(2 * index, 2 * index + 1, "m") for index in range(MAX_MARKS + 3)]

    assert show("a " * (MAX_MARKS + 3), *marks)[-1] == "and 3 more places"


@given(
    st.text(max_size=400),
    st.lists(st.tuples(st.integers(0, 420), st.integers(0, 30)), max_size=15),
)
def test_any_text_and_marks_can_be_shown(text: str, places: list[tuple[int, int]]) -> None:
    """Every row is one row of a terminal, and every mark within bounds is there."""
    marks = [Mark(start, start + length, "m") for start, length in sorted(places)]

    found = list(rows(text, marks))

    assert sum(row.what == "m" for row in found) == min(len(marks), MAX_MARKS)
    assert all(row.text.isprintable() for row in found)
    assert all(set(row.text) == {"^"} for row in found if row.what)


@pytest.mark.parametrize(
    ("text", "span", "marked"),
    [
        ("select 1 from lab.patient p", (14, 21, "r"), "lab.patient"),
        ('select 1 from "lab" . "pat ient"', (14, 22, "r"), '"lab" . "pat ient"'),
        ("select pg_read_file('x')", (7, 19, "r"), "pg_read_file"),
        ("select 1 limit 500, 2", (15, 18, "r"), "500"),
    ],
)
def test_a_name_is_marked_with_all_its_parts(
    text: str, span: tuple[int, int, str], marked: str
) -> None:
    """A relation is what is written, schema and quotes included."""
    shown, (mark,) = text_and_marks(b"", StatementFacts(Kind.SELECT, text=text, spans=(span,)))

    assert shown[mark.start : mark.end] == marked


def test_facts_of_one_place_share_a_mark() -> None:
    """lo_export is two side doors."""
    spans = ((7, 16, "side door file"), (7, 16, "side door large_object"))
    facts = StatementFacts(Kind.SELECT, text="select lo_export(1, 'x')", spans=spans)

    assert text_and_marks(b"", facts)[1] == (Mark(7, 16, "side door file, side door large_object"),)


@pytest.mark.parametrize(
    ("raw", "text", "at", "shown", "mark"),
    [
        (b"select from where\n", "select from where\n", 12, "select from where", (12, 17)),
        (b"select", "select", 6, "select", (6, 7)),
        ("é \0x".encode(), "", 3, "é \0x", (2, 3)),
        ("é \xff".encode("latin-1"), "", 0, "\ufffd \ufffd", (0, 1)),
        (b"do $$ $$", "do $$ $$", None, "do $$ $$", None),
    ],
)
def test_where_the_reading_ended(
    raw: bytes, text: str, at: int | None, shown: str, mark: tuple[int, int] | None
) -> None:
    """An opaque statement is marked where it became so, even if it is no text at all."""
    facts = StatementFacts(Kind.OPAQUE, text=text, opaque="why", opaque_at=at)

    found, marks = text_and_marks(raw, facts)

    assert found == shown
    assert marks == (() if mark is None else (Mark(*mark, "why"),))
