"""The sections ``frontend_tls`` and ``backend_tls``: what fits together, before any file is read.

Source: PostgreSQL documentation, "Database Connection Control Functions" (libpq's parameters).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from proxy.settings.address import parse_address
from proxy.settings.settings import BackendTls, FrontendTls

if TYPE_CHECKING:
    from collections.abc import Collection

    from proxy.settings.address import Address
    from proxy.settings.settings import BackendTlsData, FrontendTlsData

SYSTEM: Final = "system"
VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
REQUIRING: Final = VERIFYING | {"require"}


class Complain(Protocol):
    """Takes what is wrong, and where: the path of a key in the settings."""

    def __call__(self, location: tuple[str | int, ...], what: str) -> None:
        """Note it."""


def frontend_tls(
    data: FrontendTlsData, listen: Collection[Address], complain: Complain
) -> FrontendTls:
    """Return the settings of the frontend's leg; what is wrong goes to ``complain``."""
    section = "frontend_tls"
    _expect_pair(section, data, complain)
    if data.certificate is None:
        for name in ("plaintext", "ca", "crl", "scram_verifiers"):
            if getattr(data, name):
                complain((section, name), f"{name} without TLS, expected certificate and key too")
        if data.verify != "none":
            complain((section, "verify"), "verify without TLS, expected certificate and key too")
    elif data.verify == "none":
        for name in ("ca", "crl"):
            if getattr(data, name):
                complain((section, name), f"{name} without verify, expected optional or required")
    elif data.ca is None:
        complain((section, "verify"), f"verify {data.verify} without ca, expected its file")
    return FrontendTls(
        certificate=_path(data.certificate),
        key=_path(data.key),
        plaintext=frozenset(_plaintext(data.plaintext, listen, complain)),
        verify=data.verify,
        ca=_path(data.ca),
        crl=_path(data.crl),
        needs_channel_binding=data.channel_binding == "needed",
        scram_verifiers=_path(data.scram_verifiers),
    )


def backend_tls(
    data: BackendTlsData, upstreams: Collection[Address], complain: Complain
) -> BackendTls:
    """Return the settings of the backend's leg; what is wrong goes to ``complain``."""
    section = "backend_tls"
    _expect_pair(section, data, complain)
    if data.mode in VERIFYING and data.ca is None:
        complain((section, "mode"), f"{data.mode} without ca, expected its file or 'system'")
    if data.ca == SYSTEM and data.mode != "verify-full":
        # anybody can have a certificate of a public authority: libpq refuses it likewise
        complain((section, "ca"), f"ca 'system' with mode {data.mode}, expected verify-full")
    if data.crl is not None and data.ca is None:
        complain((section, "crl"), "crl without ca, expected its file")
    if data.negotiation == "direct" and data.mode not in REQUIRING:
        complain(
            (section, "negotiation"),
            f"direct with mode {data.mode}, expected require, verify-ca or verify-full",
        )
    if data.mode in REQUIRING:
        for one in upstreams:
            if one.path:
                complain(
                    (section, "mode"),
                    f"{data.mode}, but upstream {one} is a Unix socket: PostgreSQL has no TLS"
                    " there, expected prefer or disable",
                )
    return BackendTls(
        mode=data.mode,
        negotiation=data.negotiation,
        ca=_path(data.ca),
        crl=_path(data.crl),
        certificate=_path(data.certificate),
        key=_path(data.key),
    )


def _expect_pair(section: str, data: FrontendTlsData | BackendTlsData, complain: Complain) -> None:
    if data.certificate is not None and data.key is None:
        complain((section, "certificate"), "certificate without key, expected both")
    if data.key is not None and data.certificate is None:
        complain((section, "key"), "key without certificate, expected both")


def _plaintext(
    texts: Collection[str], listen: Collection[Address], complain: Complain
) -> list[Address]:
    found = []
    for index, text in enumerate(texts):
        location = ("frontend_tls", "plaintext", index)
        try:
            address = parse_address(text)
        except ValueError as error:
            complain(location, str(error))
            continue
        if address.path:
            complain(location, f"{text} is a Unix socket, which never has TLS, expected host:port")
        elif address not in listen:
            listed = ", ".join(map(str, listen))
            complain(location, f"{text} is not in listen, expected one of {listed}")
        found.append(address)
    return found


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
