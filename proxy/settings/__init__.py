"""How one Vigie is set up: vigie.yaml, environment, command line; and where its files are."""

from __future__ import annotations

from proxy.settings.address import Address, parse_address
from proxy.settings.files import (
    find_settings_file,
    read_folders,
    read_policy_files,
    read_settings,
    shipped_rules,
)
from proxy.settings.load import load_settings
from proxy.settings.settings import (
    AuditSettings,
    BackendTls,
    FrontendTls,
    Limits,
    Orders,
    Settings,
    Upstream,
)

__all__ = [
    "Address",
    "AuditSettings",
    "BackendTls",
    "FrontendTls",
    "Limits",
    "Orders",
    "Settings",
    "Upstream",
    "find_settings_file",
    "load_settings",
    "parse_address",
    "read_folders",
    "read_policy_files",
    "read_settings",
    "shipped_rules",
]
