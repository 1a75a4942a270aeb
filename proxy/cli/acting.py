"""Who acts in an explanation, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import accel
from proxy.sql.comments import said_in_comment
from proxy.terms.behalf import Behalf, SourceKind, usable_name
from proxy.terms.budget import Grouping
from proxy.terms.principal import Principal

if TYPE_CHECKING:
    from proxy.policy import Policy


def acting(policy: Policy, role: str, database: str, raw: bytes, end_user: str | None) -> Principal:
    """Return who acts, and for whom if the policy believes it: from whatever address."""
    trust = next((one for one in policy.trusts if role in one.roles), None)
    if trust is None:
        return Principal(role, database)
    said = said_in_comment(raw, "UTF8", accel.cut_literals)
    names = {
        name: usable_name(said.get(source.name, ""))
        for name, source in trust.said.items()
        if source.kind is SourceKind.COMMENT
    }
    if end_user is not None and Grouping.END_USER in trust.said:
        names[Grouping.END_USER] = usable_name(end_user)
    behalf = Behalf(names.get(Grouping.END_USER, ""), names.get(Grouping.APPLICATION, ""))
    return Principal(role, database, behalf=behalf)
