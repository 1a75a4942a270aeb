"""Messages of the protocol from text and to text, for conversations."""

from __future__ import annotations

import shlex
import struct
from typing import TYPE_CHECKING, Final

from proxy.wire import encode
from proxy.wire.backend import Tag as BackendTag
from proxy.wire.frontend import Tag as FrontendTag
from tests.strategies import lengthened

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUESTS: Final = {"SSLRequest": 80877103, "GSSENCRequest": 80877104}
_PLAIN: Final = {
    "ParseComplete": "1",
    "BindComplete": "2",
    "CloseComplete": "3",
    "NoData": "n",
    "EmptyQueryResponse": "I",
    "PortalSuspended": "s",
}
_FRONTEND: Final = frozenset(FrontendTag)
_BACKEND: Final = frozenset(BackendTag)
_COPIES: Final = {"CopyInResponse": "G", "CopyOutResponse": "H", "CopyBothResponse": "W"}


def frontend_message(told: str) -> bytes:
    """Return a message of the frontend from its words, as in ``Parse "s1" "select 1"``."""
    name, *rest = shlex.split(told)
    match name:
        case "Startup":
            return startup(*rest)
        case "SSLRequest" | "GSSENCRequest":
            return struct.pack(">II", 8, _REQUESTS[name])
        case "CancelRequest":
            return encode.cancel_request(int(rest[0]), rest[1].encode())
        case "Query":
            return encode.query(rest[0].encode())
        case "Parse":
            return encode.parse(rest[0].encode(), rest[1].encode())
        case "Bind":
            return bind(*rest)
        case "Describe" | "Close":
            tag = FrontendTag[name.upper()]
            return encode.frame(tag, rest[0].encode() + rest[1].encode() + b"\0")
        case "Execute":
            row_limit = int(rest[1]) if len(rest) > 1 else 0
            return encode.frame(ord("E"), rest[0].encode() + b"\0" + struct.pack(">i", row_limit))
        case "Flush" | "Sync" | "Terminate":
            return encode.frame(FrontendTag[name.upper()], b"")
        case "FunctionCall":
            return encode.frame(ord("F"), struct.pack(">IHHH", int(rest[0]), 0, 0, 0))
        case "Password":
            return encode.frame(ord("p"), rest[0].encode() + b"\0")
        case "CopyFail":
            return encode.copy_fail(rest[0].encode())
        case _:
            return _either(name, rest)


def backend_message(told: str) -> bytes:
    """Return a message of the backend from its words, as in ``DataRow 1 NULL``."""
    name, *rest = shlex.split(told)
    match name:
        case "Authentication":
            return encode.frame(ord("R"), struct.pack(">I", int(rest[0])))
        case "BackendKeyData":
            return encode.backend_key_data(int(rest[0]), rest[1].encode())
        case "ParameterStatus":
            return encode.frame(ord("S"), b"".join(one.encode() + b"\0" for one in rest))
        case "ReadyForQuery":
            return encode.frame(ord("Z"), rest[0].encode())
        case "RowDescription":
            columns = b"".join(_column(one) for one in rest)
            return encode.frame(ord("T"), struct.pack(">h", len(rest)) + columns)
        case "DataRow":
            return encode.frame(ord("D"), struct.pack(">h", len(rest)) + _values(rest))
        case "CommandComplete":
            return encode.frame(ord("C"), rest[0].encode() + b"\0")
        case "ErrorResponse" | "NoticeResponse":
            severity = rest[2] if len(rest) > 2 else "ERROR"
            raw = encode.error_response(rest[0], rest[1], severity=severity)
            return (b"E" if name == "ErrorResponse" else b"N") + raw[1:]
        case "ParameterDescription":
            return encode.frame(ord("t"), struct.pack(">h", 0))
        case "NotificationResponse":
            return encode.frame(ord("A"), bytes(4) + b"".join(one.encode() + b"\0" for one in rest))
        case "FunctionCallResponse":
            return encode.frame(ord("V"), _values(rest))
        case _ if name in _COPIES:
            return encode.frame(ord(_COPIES[name]), b"\0\0\1\0\0")
        case _ if name in _PLAIN:
            return encode.frame(ord(_PLAIN[name]), b"")
        case _:
            return _either(name, rest)


def _either(name: str, rest: list[str]) -> bytes:
    match name:
        case "Raw":
            return bytes.fromhex("".join(rest))
        case "CopyData":
            return encode.frame(ord("d"), rest[0].encode().decode("unicode_escape").encode())
        case _:
            assert name == "CopyDone", name
            return encode.frame(ord("c"), b"")


def startup(*parameters: str, version: int = 3 << 16) -> bytes:
    """Return a StartupMessage with these ``name=value``."""
    pairs = [part for one in parameters for part in one.partition("=")[::2]]
    body = b"".join(part.encode() + b"\0" for part in pairs) + b"\0"
    return struct.pack(">II", 8 + len(body), version) + body


def bind(portal: str, statement: str, *parameters: str) -> bytes:
    """Return a Bind of parameters in text; NULL is no value."""
    body = portal.encode() + b"\0" + statement.encode() + b"\0" + bytes(2)
    body += struct.pack(">H", len(parameters)) + _values(parameters) + bytes(2)
    return encode.frame(ord("B"), body)


def _values(words: tuple[str, ...] | list[str]) -> bytes:
    return b"".join(lengthened(None if one == "NULL" else one.encode()) for one in words)


def _column(told: str) -> bytes:
    """Return one column of a RowDescription: ``name``, or ``name:table.number:type``."""
    name, _, rest = told.partition(":")
    origin, _, kind = rest.partition(":")
    table, _, number = origin.partition(".")
    numbers = (int(table or 0), int(number or 0), int(kind or 25), -1, -1, 0)
    return name.encode() + b"\0" + struct.pack(">IhIhih", *numbers)


# bytes to text


def messages_in(data: bytes, *, from_frontend: bool) -> Iterator[str]:
    """Yield whole messages as text; bytes that are none come as Raw."""
    if data[:1] == b"\0":
        parameters = data[8:-2].split(b"\0")
        pairs = zip(parameters[::2], parameters[1::2], strict=False)
        yield "Startup " + " ".join(f"{shown(name)}={shown(value)}" for name, value in pairs)
        return
    at = 0
    while at < len(data):
        end = at + 1 + int.from_bytes(data[at + 1 : at + 5], "big") if at + 5 <= len(data) else 0
        known = _FRONTEND if from_frontend else _BACKEND
        if data[at] not in known or not at + 5 <= end <= len(data):
            yield f"Raw {data[at:].hex()}"
            return
        body = data[at + 5 : end]
        yield _from_frontend(data[at], body) if from_frontend else _from_backend(data[at], body)
        at = end


def _from_frontend(tag: int, body: bytes) -> str:
    name = "".join(part.capitalize() for part in FrontendTag(tag).name.split("_"))
    match FrontendTag(tag):
        case FrontendTag.QUERY | FrontendTag.COPY_FAIL | FrontendTag.PASSWORD:
            return f"{name} {quoted(body[:-1])}"
        case FrontendTag.PARSE:
            statement, text, _ = body.split(b"\0", 2)
            return f"{name} {quoted(statement)} {quoted(text)}"
        case FrontendTag.BIND:
            portal, statement, rest = body.split(b"\0", 2)
            values = "".join(f" {value}" for value in _row(rest[2:]))
            return f"{name} {quoted(portal)} {quoted(statement)}{values}"
        case FrontendTag.DESCRIBE | FrontendTag.CLOSE:
            return f"{name} {chr(body[0])} {quoted(body[1:-1])}"
        case FrontendTag.EXECUTE:
            row_limit = int.from_bytes(body[-4:], "big")
            return f"{name} {quoted(body[:-5])}" + (f" {row_limit}" if row_limit else "")
        case FrontendTag.FUNCTION_CALL:
            return f"{name} {int.from_bytes(body[:4], 'big')}"
        case FrontendTag.COPY_DATA:
            return f"{name} {quoted(body)}"
        case _:
            return name


def _from_backend(tag: int, body: bytes) -> str:
    name = "".join(part.capitalize() for part in BackendTag(tag).name.split("_"))
    match BackendTag(tag):
        case BackendTag.READY_FOR_QUERY:
            return f"{name} {shown(body)}"
        case BackendTag.ERROR_RESPONSE | BackendTag.NOTICE_RESPONSE:
            fields = {part[:1]: shown(part[1:]) for part in body.split(b"\0") if part}
            severity = "" if fields[b"V"] == "ERROR" else f" {fields[b'V']}"
            return f"{name} {fields[b'C']} {shlex.quote(fields[b'M'])}{severity}"
        case BackendTag.ROW_DESCRIPTION:
            return f"{name} {' '.join(_columns(body))}"
        case BackendTag.DATA_ROW:
            return " ".join([name, *_row(body)])
        case BackendTag.FUNCTION_CALL_RESPONSE:
            return " ".join([name, *_row(b"\0\1" + body)])
        case BackendTag.COMMAND_COMPLETE:
            return f"{name} {quoted(body[:-1])}"
        case BackendTag.PARAMETER_STATUS:
            return f"{name} " + " ".join(quoted(part) for part in body[:-1].split(b"\0"))
        case BackendTag.NOTIFICATION_RESPONSE:
            return f"{name} " + " ".join(quoted(part) for part in body[4:-1].split(b"\0"))
        case BackendTag.BACKEND_KEY_DATA:
            return f"{name} {int.from_bytes(body[:4], 'big')} {shlex.quote(repr(body[4:])[2:-1])}"
        case BackendTag.AUTHENTICATION:
            return f"{name} {int.from_bytes(body[:4], 'big')}"
        case BackendTag.COPY_DATA:
            return f"{name} {quoted(body)}"
        case _:
            return name


def _row(body: bytes) -> Iterator[str]:
    (count,) = struct.unpack_from(">h", body)
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from(">i", body, at)
        at += 4
        yield "NULL" if length < 0 else quoted(body[at : at + length])
        at += max(length, 0)


def _columns(body: bytes) -> Iterator[str]:
    at = 2
    while at < len(body):
        end = body.index(b"\0", at)
        table, number, kind, *_ = struct.unpack_from(">IhIhih", body, end + 1)
        name = shown(body[at:end])
        if table:
            yield f"{name}:{table}.{number}:{kind}"
        else:
            yield name if kind == 25 else f"{name}:0.0:{kind}"
        at = end + 19


def shown(raw: bytes) -> str:
    """Return bytes as text, for words that need no quotes."""
    return raw.decode("latin-1").encode("unicode_escape").decode("ascii")


def quoted(raw: bytes) -> str:
    """Return bytes as one word."""
    return shlex.quote(shown(raw))
