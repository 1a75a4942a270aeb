"""The compiled kernel of Vigie. What each part means is said by its twin in Python."""

from vigie_native.content import (
    count_emails,
    count_ibans,
    count_nirs,
    count_phones,
    count_rpps,
)
from vigie_native.lane import (
    Known,
    LaneCounts,
    LaneState,
    answer_rows,
    cut_literals,
    extended_key,
    query_literals,
    query_template,
)
from vigie_native.rows import RunCharger, end_of_run
from vigie_native.sockets import Port, Teller
from vigie_native.subjects import Subjects

REVISION = 4  # raised with whatever ``proxy.accel`` expects of it

__all__ = [
    "REVISION",
    "Known",
    "LaneCounts",
    "LaneState",
    "Port",
    "RunCharger",
    "Subjects",
    "Teller",
    "answer_rows",
    "count_emails",
    "count_ibans",
    "count_nirs",
    "count_phones",
    "count_rpps",
    "cut_literals",
    "end_of_run",
    "extended_key",
    "query_literals",
    "query_template",
]
