"""The compiled kernel of Vigie. What each part means is said by its twin in Python."""

from vigie_native.lane import answer_rows, cut_literals, extended_key, query_template
from vigie_native.rows import RunCharger, end_of_run
from vigie_native.subjects import SubjectWindow

__all__ = [
    "RunCharger",
    "SubjectWindow",
    "answer_rows",
    "cut_literals",
    "end_of_run",
    "extended_key",
    "query_template",
]
