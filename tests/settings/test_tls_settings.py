"""The two sections about TLS: what fits together is told before any file is read."""

from __future__ import annotations

import pytest

from proxy.errors import ConfigurationError
from proxy.settings import load_settings

WRONG: list[tuple[str, list[str]]] = [
    (
        "frontend_tls: {certificate: /c}",
        ["v.yaml:1:29: certificate without key, expected both"],
    ),
    (
        "frontend_tls: {key: /k, ca: /a, verify: required}",
        [
            "v.yaml:1:21: key without certificate, expected both",
            "v.yaml:1:29: ca without TLS, expected certificate and key too",
            "v.yaml:1:41: verify without TLS, expected certificate and key too",
        ],
    ),
    (
        "frontend_tls: {certificate: /c, key: /k, ca: /a}",
        ["v.yaml:1:46: ca without verify, expected optional or required"],
    ),
    (
        "frontend_tls: {certificate: /c, key: /k, verify: optional}",
        ["v.yaml:1:50: verify optional without ca, expected its file"],
    ),
    (
        (
            "listen: ['a:1', 'unix:/s']\n"
            "frontend_tls: {certificate: /c, key: /k, plaintext: ['a:2', b, 'unix:/s', 'a:1']}"
        ),
        [
            "v.yaml:2:54: a:2 is not in listen, expected one of a:1, unix:/s",
            "v.yaml:2:61: 'b' is no address, expected host:port or unix:/path",
            "v.yaml:2:64: unix:/s is a Unix socket, which never has TLS, expected host:port",
        ],
    ),
    (
        "backend_tls: {mode: verify-full}",
        ["v.yaml:1:21: verify-full without ca, expected its file or 'system'"],
    ),
    (
        "backend_tls: {mode: verify-ca, ca: system}",
        ["v.yaml:1:36: ca 'system' with mode verify-ca, expected verify-full"],
    ),
    (
        "backend_tls: {crl: /l, certificate: /c}",
        [
            "v.yaml:1:37: certificate without key, expected both",
            "v.yaml:1:20: crl without ca, expected its file",
        ],
    ),
    (
        "backend_tls: {negotiation: direct}",
        ["v.yaml:1:28: direct with mode prefer, expected require, verify-ca or verify-full"],
    ),
    (
        "upstream: /run/postgresql:5432\nbackend_tls: {mode: require}",
        [
            "v.yaml:2:21: require, but upstream unix:/run/postgresql/.s.PGSQL.5432 is a Unix",
        ],
    ),
    ("backend_tls: {mode: on}", ["v.yaml:1:21: 'mode' is 'on', expected one of allow, disable,"]),
    ("http: 'unix:/h'", ["v.yaml:1:7: is a Unix socket, expected host:port"]),
    ("unix_socket_mode: '0999'", ["v.yaml:1:19: 'unix_socket_mode' is '0999', expected"]),
]


@pytest.mark.parametrize(("text", "problems"), WRONG, ids=[text for text, _ in WRONG])
def test_what_does_not_fit_together(text: str, problems: list[str]) -> None:
    """Each by its place, what it is, and what was expected; all of them at once."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(text, "v.yaml", {})

    told = caught.value.problems
    assert len(told) == len(problems)
    assert [
        told_one for told_one, one in zip(told, problems, strict=True) if one not in told_one
    ] == []


def test_a_list_in_a_variable() -> None:
    """Addresses by commas, as for listen."""
    found = load_settings(
        "listen: ['a:1', 'b:2', 'c:3']\nfrontend_tls: {certificate: /c, key: /k}",
        "v.yaml",
        {"VIGIE_FRONTEND_TLS__PLAINTEXT": "a:1, c:3"},
    )

    assert sorted(map(str, found.frontend_tls.plaintext)) == ["a:1", "c:3"]
