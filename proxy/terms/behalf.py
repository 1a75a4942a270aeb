"""For whom a principal acts, and whom the site believes when it says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from proxy.terms.budget import Grouping

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

APPLICATION_NAME: Final = "application_name"
LONGEST_NAME: Final = 128  # characters


@dataclass(frozen=True, slots=True)
class Behalf:
    """The names that a principal has given and is believed; '' where it has given none."""

    end_user: str = ""
    application: str = ""


NOBODY: Final = Behalf()


class SourceKind(StrEnum):
    """Where a name is said."""

    COMMENT = "comment"  # the last one of a text, as sqlcommenter writes it
    SETTING = "setting"  # of the session


@dataclass(frozen=True, slots=True)
class Source:
    """Where one name is said: under which key of the comment, or by which setting."""

    kind: SourceKind
    name: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a site believes. Neither ``networks`` nor ``takes_unix``: from any address.

    ``end_user``, ``application``: where the name is said; None: it is not believed.
    """

    roles: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    end_user: Source | None = None
    application: Source | None = None
    takes_unix: bool = False  # by a Unix socket of this machine

    @property
    def is_anywhere(self) -> bool:
        """Whether it believes its roles whatever their address."""
        return not self.networks and not self.takes_unix

    def takes(self, address: str) -> bool:
        """Whether a frontend of this address is believed."""
        if self.is_anywhere:
            return True
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return self.takes_unix
        return any(found in network for network in self.networks)

    @property
    def said(self) -> dict[Grouping, Source]:
        """Where each name is said that it believes."""
        both = {Grouping.END_USER: self.end_user, Grouping.APPLICATION: self.application}
        return {name: source for name, source in both.items() if source is not None}

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of its sources."""
        return tuple(self.said.values())

    @property
    def settings(self) -> frozenset[str]:
        """The settings that names are said by."""
        return frozenset(one.name for one in self.sources if one.kind is SourceKind.SETTING)

    @property
    def reads_comments(self) -> bool:
        """Whether some name is said in comments."""
        return any(one.kind is SourceKind.COMMENT for one in self.sources)


def usable_name(name: str) -> str:
    """Return the name, or '' for one that nobody should bear: too long, or not to be shown."""
    is_usable = len(name) <= LONGEST_NAME and name.isprintable() and name.strip() == name
    return name if is_usable else ""
