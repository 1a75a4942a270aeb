"""``end_users:`` of a site to whom it believes, and budgets that need somebody to be believed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from proxy.terms.behalf import Source, SourceKind, Trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.policy.blocks import Block
    from proxy.policy.schema import EndUsersData, SourceData
    from proxy.terms.budget import Budget

UNIX: Final = "unix"


def read_trusts(blocks: Iterable[Block[EndUsersData]]) -> tuple[Trust, ...]:
    """Return whom the blocks believe; of two for one role the first counts that fits."""
    found: list[Trust] = []
    for block in blocks:
        found.append(_read_trust(block, found))
    return tuple(found)


def _read_trust(block: Block[EndUsersData], earlier: Sequence[Trust]) -> Trust:
    data, roles, tell = block.data, block.roles, block.tell
    if data.end_user is None and data.application is None:
        tell("believes nothing, expected end_user or application, or both", "roles")
    taken = frozenset[str]().union(*(one.roles for one in earlier if one.is_anywhere)) & roles
    if taken:
        tell(f"role '{min(taken)}' is in a block above, from any address", "roles")
    networks = []
    for text in data.addresses or ():
        if text == UNIX:
            continue
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            tell(
                f"'{text}' is no address, expected one like 10.0.3.7, 10.0.3.0/24 or unix",
                "addresses",
            )
    return Trust(
        roles,
        tuple(networks),
        end_user=_source(data.end_user),
        application=_source(data.application),
        takes_unix=UNIX in (data.addresses or ()),
    )


def _source(data: SourceData | None) -> Source | None:
    if data is None:
        return None
    if data.comment is not None:
        return Source(SourceKind.COMMENT, data.comment)
    assert data.setting is not None  # the form was checked
    return Source(SourceKind.SETTING, data.setting)


def lacks_trust(budget: Budget, trusts: Sequence[Trust]) -> tuple[str, str] | None:
    """Return what a budget needs and nobody says, and the key that asks for it; None: nothing."""
    for name in sorted(budget.said_names):
        believed = frozenset[str]().union(*(one.roles for one in trusts if name in one.said))
        missing = sorted(budget.roles - believed)
        if believed and not missing:
            continue
        who = f"role '{missing[0]}'" if missing else "any role"
        told = f"no end_users block believes {who} on {name.value}"
        if name in budget.per:
            return f"per {name.value}, but {told}", "per"
        return f"counts by whether an end user was named, but {told}", "bound"
    return None
