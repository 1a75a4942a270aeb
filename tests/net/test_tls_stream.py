"""TLS without a socket: two ends that are fed with each other's bytes."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.net.tls import read_certificate
from proxy.net.tls_stream import TlsError, TlsStream
from proxy.settings.certificates import (
    Credentials,
    backend_credentials,
    frontend_credentials,
    utc_now,
)
from proxy.settings.settings import BackendTls, FrontendTls
from tests.fix_tls import Authority


@dataclass
class Ends:
    """Credentials of both ends, and a connection between them."""

    accepting: Credentials
    beginning: Credentials

    def joined(self) -> tuple[TlsStream, TlsStream]:
        """Return (the one that began, the one that accepted) after their handshake."""
        one = TlsStream(self.beginning, accepts=False, host="vigie")
        other = TlsStream(self.accepting, accepts=True)
        one.begin()
        while not (one.is_established and other.is_established):
            other.feed(one.take_outgoing())
            one.feed(other.take_outgoing())
        return one, other


def credentials_of(settings: FrontendTls | BackendTls) -> Credentials:
    if isinstance(settings, FrontendTls):
        found = frontend_credentials(settings, utc_now())
    else:
        found = backend_credentials(settings, utc_now())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stream"), "authority")


@pytest.fixture(scope="module")
def ends(authority: Authority) -> Ends:
    pair = authority.issue("vigie")
    accepting = credentials_of(FrontendTls(pair.certificate, pair.key))
    return Ends(accepting, credentials_of(BackendTls("require", ca=authority.certificate)))


def test_what_one_says_the_other_hears(ends: Ends) -> None:
    """However the bytes between them are cut."""

    @settings(max_examples=25, deadline=None)
    @given(data=st.binary(max_size=70_000), cuts=st.lists(st.integers(0, 70_000), max_size=8))
    def holds(data: bytes, cuts: list[int]) -> None:
        one, other = ends.joined()
        records = one.encrypt(data) if data else b""
        bounds = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]

        heard = b"".join(other.feed(records[first:last]) for first, last in pairwise(bounds))

        assert heard == data

    holds()


def test_the_end_is_heard_and_not_a_cut(ends: Ends) -> None:
    """Who ends says so; what was said before it is not lost."""
    one, other = ends.joined()

    heard = other.feed(one.encrypt(b"last") + one.end())

    assert (heard, other.is_ended) == (b"last", True)


def test_both_agree_to_the_protocol(ends: Ends) -> None:
    """Either end names postgresql by ALPN."""
    one, other = ends.joined()

    assert (one.protocol, other.protocol) == ("postgresql", "postgresql")


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff"],
    ids=["HTTP", "zeros", "no hello", "too long"],
)
def test_what_is_no_tls_is_an_error(ends: Ends, noise: bytes) -> None:
    """In the handshake, and with a reason."""
    stream = TlsStream(ends.accepting, accepts=True)

    with pytest.raises(TlsError):
        stream.feed(noise)

    assert not stream.is_established


def test_a_record_that_was_changed_is_an_error(ends: Ends) -> None:
    """Nothing of it is heard."""
    one, other = ends.joined()
    records = bytearray(one.encrypt(b"select 1"))
    records[-1] ^= 1

    with pytest.raises(TlsError, match="decryption failed or bad record mac"):
        other.feed(bytes(records))


def test_older_versions_are_refused(ends: Ends) -> None:
    """TLS 1.1 is over, whatever a frontend would like."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    one = TlsStream(Credentials(context), accepts=False)
    one.begin()

    with pytest.raises(TlsError, match="unsupported protocol"):
        TlsStream(ends.accepting, accepts=True).feed(one.take_outgoing())


def test_tls_1_2_is_enough(ends: Ends, authority: Authority) -> None:
    """Older drivers have no more."""
    older = credentials_of(BackendTls("require", ca=authority.certificate))
    older.context.maximum_version = ssl.TLSVersion.TLSv1_2

    one, other = Ends(ends.accepting, older).joined()

    assert other.feed(one.encrypt(b"x")) == b"x"


def test_who_says_too_much_by_itself_is_stopped(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks for new keys without end would fill what nobody reads."""
    _, other = ends.joined()
    monkeypatch.setattr("proxy.net.tls_stream.ANSWERS_BYTES", 100)
    other._answered_bytes = 100
    other._outgoing.write(b"x")

    with pytest.raises(TlsError, match="new keys without end"):
        other.take_outgoing()


def test_whom_a_certificate_names(authority: Authority) -> None:
    """Its subject as RFC 4514 has it, and its common name."""
    found = read_certificate(authority.issue("lims", unit="Lab").der)

    assert found is not None
    assert (found.subject, found.name) == ("CN=lims,OU=Lab", "lims")
    assert read_certificate(b"") is None


@pytest.mark.parametrize("encoded", [b"no certificate", bytes(100)])
def test_what_cannot_be_read_is_nobody(encoded: bytes) -> None:
    """It is refused, and not taken for a frontend without a certificate."""
    with pytest.raises(TlsError, match="certificate that cannot be read"):
        read_certificate(encoded)


def test_a_name_with_a_zero_byte_is_nobody(authority: Authority) -> None:
    """Two readers could take it for two names."""
    with pytest.raises(TlsError, match="zero byte"):
        read_certificate(authority.issue("dba\0.evil.test", file="zero").der)
