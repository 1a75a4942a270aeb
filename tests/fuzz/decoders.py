"""Every function that takes a peer's bytes: any bytes give a value or the error it documents."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.accel import _python
from proxy.errors import WireError
from proxy.meter import copy_rows, side_text
from proxy.meter.copy_rows import split_copy_row
from proxy.meter.side_text import disclosed_bytes
from proxy.session import commands as c
from proxy.session import events as e
from proxy.sql import text
from proxy.sql.text import TextError, decode_text
from proxy.terms.facts import CopyFormat, Kind, StatementFacts
from proxy.wire import backend, frames, frontend
from proxy.wire import startup as startup_messages
from proxy.wire.frames import FrameReader
from proxy.wire.startup import take_opening
from tests.conversation import Conversation, context_of, policy_of, subjects
from tests.fuzz.backend import any_message
from tests.fuzz.frontend import startup
from tests.fuzz.generate import chunks, conversation, damaged
from tests.fuzz.running import FuzzError, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Decoder = Callable[[bytes], object]
_OPAQUE: Final = StatementFacts(Kind.OPAQUE, opaque="fuzz")
_NUMBER_BYTES: Final = 8
_SEEN: Final = (backend, copy_rows, frames, frontend, side_text, startup_messages, text, _python)


def _frames(tags: bytes, bulk: bytes) -> Decoder:
    def read(stream: bytes) -> None:
        """Cut it whole and byte by byte: what comes out is what went in, up to the first fault."""
        taken = []
        for size in (len(stream) or 1, 3):
            reader = FrameReader(tags=tags, bulk_tags=bulk, ceiling_bytes=64)
            found = b""
            try:
                for at in range(0, len(stream), size):
                    reader.feed(stream[at : at + size])
                    while (shape := reader.take()) is not None:
                        found += shape.raw
            except WireError:
                taken.append((found, "fault"))
            else:
                taken.append((found + reader.take_rest(), ""))
        assert taken[0] == taken[1], taken
        assert stream.startswith(taken[0][0])

    return read


def _twins(stream: bytes) -> None:
    """The compiled kernel and the one in Python say the same."""
    head = stream[: stream[0]] if stream else b""
    assert accel.query_template(stream) == _python.query_template(stream)
    compiled, plain = accel.extended_key(stream), _python.extended_key(stream)
    assert (compiled and tuple(compiled)) == (plain and tuple(plain))
    for rows in (False, True):
        assert accel.answer_rows(stream, head, rows) == _python.answer_rows(stream, head, rows)


def _opening(stream: bytes) -> None:
    buffer = bytearray(stream)
    while take_opening(buffer) is not None:
        pass


def _text(stream: bytes) -> None:
    for encoding in ("UTF8", "LATIN1", "SJIS", "nothing"):
        try:
            decode_text(stream, encoding)
        except TextError:
            continue


def _copied(stream: bytes) -> None:
    for form in (*CopyFormat, None):
        split_copy_row(stream, form, 3)


class _Session:
    """A whole session without sockets: whatever comes, it makes no error of its own."""

    def __init__(self) -> None:
        self._context = context_of(policy_of(subjects(9)))

    def __call__(self, stream: bytes) -> None:
        chance = random.Random(stream[:_NUMBER_BYTES])
        talk = Conversation(self._context).login()
        told: list[c.Command] = []
        half = len(stream) // 2
        sides = (stream[:half], stream[half:])
        for side, part in enumerate(sides):
            for chunk in chunks(chance, part[:4000]):
                if (side == 0) == (chance.random() < 0.9):
                    if not talk.session.passes_frontend(chunk, 0.0):
                        told += talk.send(e.FrontendBytes(chunk))
                elif not talk.session.passes_backend(chunk, 0.0):
                    told += talk.send(e.BackendBytes(chunk))
        told += talk.send(e.FrontendClosed())
        faults = [one for one in told if isinstance(one, c.InternalFault)]
        assert not faults, faults[0].traceback


DECODERS: Final[dict[str, Decoder]] = {
    "frames of the frontend": _frames(frontend.TAGS, frontend.BULK_TAGS),
    "frames of the backend": _frames(backend.TAGS, backend.BULK_TAGS),
    "opening": _opening,
    "Query": frontend.decode_query,
    "Parse": frontend.decode_parse,
    "Bind": frontend.decode_bind,
    "names of Bind": frontend.decode_bind_names,
    "Execute": frontend.decode_execute,
    "Describe": frontend.decode_target,
    "FunctionCall": frontend.decode_function_oid,
    "RowDescription": backend.decode_row_description,
    "DataRow": lambda raw: backend.decode_data_row(raw, 0, len(raw)),
    "ErrorResponse": lambda raw: disclosed_bytes(backend.decode_fields(raw), _OPAQUE, [raw]),
    "ParameterStatus": backend.decode_parameter_status,
    "BackendKeyData": backend.decode_key_data,
    "kernel": _twins,
    "text": _text,
    "COPY row": _copied,
    "session": _Session(),
}


def decode(name: str, stream: bytes) -> None:
    """Let a decoder have these bytes. Errors: FuzzError, if it raises what it does not document."""
    try:
        DECODERS[name](stream)
    except WireError:
        pass  # what every decoder may say
    except Exception as error:
        raise FuzzError(f"decoder of {name}, bytes {stream.hex()}") from error


def streams(seed: int) -> Iterator[bytes]:
    """Yield messages of both sides, sound, damaged and random, without end."""
    chance = random.Random(seed)
    while True:
        tag = tag_of(chance.randrange(1 << 32))
        messages = conversation(chance, tag)
        answers = [any_message(chance, tag) for _ in range(len(messages))]
        faults = chance.randint(0, 4)
        asked, answered = damaged(chance, messages, faults), damaged(chance, answers, faults)
        yield asked + answered
        yield damaged(chance, [startup("lims_app"), *messages], faults)
        for one in (chance.choice(messages), chance.choice(answers)):
            yield damaged(chance, [one], 1)  # with header
            yield damaged(chance, [one], 1)[5:]  # its body
        yield chance.randbytes(chance.randint(0, 60))


def fuzz_decoders(seed: int, seconds: float) -> int:
    """Give every decoder streams for so long; return how many it were. Errors: FuzzError."""
    deadline, count = time.monotonic() + seconds, 0
    for stream in streams(seed):
        for name in DECODERS:
            decode(name, stream)
        count += 1
        if time.monotonic() > deadline:
            break
    return count


def main(arguments: list[str]) -> None:
    """Let atheris, which sees which branches bytes reach, make them: ``-max_total_time=600``."""
    import atheris  # noqa: PLC0415 - an extra of its own: pip install -e .[fuzz]

    for module in _SEEN:
        for function in vars(module).values():
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                atheris.instrument_func(function)

    names = sorted(DECODERS)

    def one(stream: bytes) -> None:
        if stream:
            decode(names[stream[0] % len(names)], stream[1:])

    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
