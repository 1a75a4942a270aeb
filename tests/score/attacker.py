"""Carries out the statements of one attack, whatever form they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.score.frontend import ClosedError, Frontend, Received, columns

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.score.cases import Attack, Step
    from tests.score.laboratory import Laboratory

SETTLE_SECONDS: Final = 0.2  # what a server may still have to say after the last answer
SILENT: Final = "nothing was said for a long time"
DIGITS_OF_NIR: Final = 15
VICTIM: Final = "victim"  # a session of somebody else: what it receives has not leaked


@dataclass(frozen=True)
class Target:
    """Where to attack: directly, or through Vigie."""

    laboratory: Laboratory
    port: int
    file: Path  # one that the server may write


def attack(case: Attack, target: Target) -> tuple[Received, str]:
    """Carry it out; returns what arrived, and how it ended if not by itself.

    Errors: none of the connection's, which are how a refused attack may end.
    """
    received = Received()
    attacker = _Attacker(case, target, received)
    ended = ""
    try:
        attacker.carry_out()
    except ClosedError:
        ended = "connection closed"
    except TimeoutError:
        ended = SILENT
    except (ConnectionError, BrokenPipeError) as error:
        ended = type(error).__name__
    finally:
        attacker.leave()
    return received, ended


class _Attacker:
    def __init__(self, case: Attack, target: Target, received: Received) -> None:
        self._case = case
        self._target = target
        self._received = received
        self._open: dict[str, Frontend] = {}
        self._forms: dict[str, Callable[[dict[str, Any]], None]] = {
            "hex": self._octets,
            "packet": self._packet,
            "fastpath": self._call,
            "loop": self._loop,
            "pipeline": self._pipeline,
            "gen": self._generated,
            "replication": self._replication,
            "external": self._dump,
            "blind": self._bisect,
            "walk": self._walk,
            "session": self._elsewhere,
        }

    def carry_out(self) -> None:
        for step in self._case.statements:
            if isinstance(step, str):
                self._one(self._main, self._filled(step), step)
                continue
            form = next((name for name in self._forms if step.get(name)), None)
            if form:
                self._forms[form](step)
            else:
                self._one(self._main, self._filled(step.get("sql", "")), step)

    def leave(self) -> None:
        for frontend in self._open.values():
            frontend.linger(SETTLE_SECONDS)
            frontend.close()

    @property
    def _main(self) -> Frontend:
        return self._named("main")

    def _named(self, name: str, role: str | None = None) -> Frontend:
        if name not in self._open:
            kept = Received() if name == VICTIM else self._received
            self._open[name] = self._connect(role, kept)
        return self._open[name]

    def _connect(
        self, role: str | None = None, received: Received | None = None, **startup: str
    ) -> Frontend:
        return Frontend(
            self._target.port,
            role or self._case.role,
            self._target.laboratory.database,
            self._received if received is None else received,
            {**self._case.startup, **startup},
        )

    def _filled(self, text: str, **values: object) -> str:
        """Put values for the names in braces; other braces are the statement's own."""
        laboratory = self._target.laboratory
        known = {"port": laboratory.port, "db": laboratory.database, "tmp": self._target.file}
        for name, value in {**known, **values}.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def _one(self, frontend: Frontend, text: str, step: Step) -> None:
        """Send one statement by the protocol that the case and the step ask for."""
        self._received.queries += 1
        if isinstance(step, str):
            lone = self._case.protocol == "extended" and len(self._case.statements) == 1
            if lone:
                frontend.extended(text)
            else:
                frontend.query(text)
            return
        name, values = step.get("name", ""), step.get("params", ())
        if "portal" in step:
            frontend.execute(step["portal"], step.get("max_rows", 0))
            frontend.sync()
        elif step.get("prepare_only"):
            frontend.parse(text, name)
            frontend.sync()
        elif name and (step.get("skip_parse") or "sql" not in step):
            frontend.bind(values, name)
            frontend.execute()
            frontend.sync()
        elif self._case.protocol == "extended" or step.keys() & {"params", "binary", "max_rows"}:
            binary, rows = step.get("binary", False), step.get("max_rows", 0)
            frontend.extended(text, values, name=name, binary=binary, rows=rows)
        else:
            frontend.query(text)

    def _octets(self, step: dict[str, Any]) -> None:
        self._received.queries += 1
        self._main.query(bytes.fromhex(step["hex"]))

    def _packet(self, step: dict[str, Any]) -> None:
        self._received.queries += len(step["packet"])
        self._main.queries(step["packet"])

    def _call(self, step: dict[str, Any]) -> None:
        self._received.queries += 1
        self._main.call(self._target.laboratory.function(step["fastpath"]), step["args"])

    def _loop(self, step: dict[str, Any]) -> None:
        values, width = _range(step["loop"])
        each, users = step.get("new_session_every"), step.get("users")
        frontend = self._main
        for number, value in enumerate(values):
            if each and number % each == 0:
                user = users[number // each % len(users)] if users else None
                frontend = self._again(user)
            given = {"i": value, "j": value + width if isinstance(value, int) else value}
            if "sql" in step:
                self._one(frontend, self._filled(step["sql"], **given), step)
            else:
                filled = [self._filled(str(one), **given) for one in step["params"]]
                self._one(frontend, "", {**step, "params": filled})
            if "after" in step:
                frontend.query(step["after"])

    def _again(self, role: str | None) -> Frontend:
        if "loop" in self._open:
            self._open.pop("loop").close()
        return self._named("loop", role)

    def _pipeline(self, step: dict[str, Any]) -> None:
        self._received.queries += 1
        self._main.parse(step["sql"], "pipelined")
        for value in range(*step["pipeline"]):
            self._main.bind([value], "pipelined")
            self._main.execute()
        self._main.sync()

    def _generated(self, step: dict[str, Any]) -> None:
        self._one(self._main, generated(step), step if self._case.protocol == "extended" else "")

    def _replication(self, step: dict[str, Any]) -> None:
        with self._connect(None, replication=str(step["replication"])) as frontend:
            for text in step["sql"]:
                self._received.queries += 1
                if not text.startswith("START_REPLICATION"):
                    frontend.query(text)
                    continue
                frontend.send("Q", text.encode() + b"\0")
                frontend.linger(SETTLE_SECONDS)
                with self._connect(step["during"]["user"]) as other:
                    other.query(step["during"]["sql"])
                frontend.linger(10 * SETTLE_SECONDS)

    def _dump(self, step: dict[str, Any]) -> None:
        laboratory = self._target.laboratory
        done = laboratory.pg_dump(self._target.port, step["user"], "-t", "lab.patient", "-a")
        self._received.copied += [
            line for line in done.stdout.split(b"\n") if line.count(b"\t") > 1
        ]
        if done.returncode:
            self._received.errors.append(_as_error(done))

    def _bisect(self, step: dict[str, Any]) -> None:
        """Find NIRs digit by digit, by nothing but rows that come or not, or errors."""
        by_rows = step["blind"] == "bool"
        known = self._target.laboratory.nirs
        for patient in range(1, step["patients"] + 1):
            found = ""
            for place in range(1, DIGITS_OF_NIR + 1):
                low, high = 0, 9
                while low < high:
                    middle = (low + high) // 2
                    if self._is_above(patient, place, middle, by_rows=by_rows):
                        low = middle + 1
                    else:
                        high = middle
                found += str(low)
            self._received.solved += known.get(found) == patient

    def _is_above(self, patient: int, place: int, digit: int, *, by_rows: bool) -> bool:
        asked = (
            f"select 1 from patient where id={patient} and substr(nir,{place},1)>'{digit}'"
            if by_rows
            else f"select 1/(case when (select substr(nir,{place},1)::int from patient "
            f"where id={patient})>{digit} then 0 else 1 end)"
        )
        signs = self._received.rows if by_rows else self._received.errors
        before = len(signs)
        self._one(self._main, asked, "")
        return len(signs) > before

    def _walk(self, step: dict[str, Any]) -> None:
        last = ""
        for _ in range(step["n"]):
            before = len(self._received.rows)
            self._one(self._main, f"select min(nir) from patient where nir>'{last}'", "")
            if len(self._received.rows) == before:
                return
            last = (columns(self._received.rows[-1])[0] or b"").decode()

    def _elsewhere(self, step: dict[str, Any]) -> None:
        name = step["session"]
        text = self._filled(step.get("sql", ""))
        if name == "new":
            with self._connect(step.get("user")) as frontend:
                self._one(frontend, text, "")
                frontend.linger(SETTLE_SECONDS)
        elif step.get("poll"):
            self._named(name).linger(5 * SETTLE_SECONDS)
        else:
            nirs = list(self._target.laboratory.nirs)[:40]
            text = text.replace("{nirs:40}", ",".join(f"'{nir}'" for nir in nirs))
            self._one(self._named(name, step.get("user")), text, "")


def generated(step: dict[str, Any]) -> str:
    """Return the text that a step of ``gen`` asks for."""
    count, text = int(step["n"]), str(step.get("sql", ""))
    numbers = range(1, count + 1)
    lists = {
        "in": ",".join(map(str, numbers)),
        "values": ",".join(f"({number})" for number in numbers),
        "or": " or ".join(f"id={number}" for number in numbers),
        "stack": "select 1;" * count,
        "concat": "||".join(["''"] * count),
        "pad": "x" * count,
        "case": " ".join(f"when id=-{number} then ''" for number in numbers),
    }
    kind = step["gen"]
    if kind in lists:
        return text.replace("{list}", lists[kind])
    if kind == "parens":
        return text.replace("{open}", "(" * count).replace("{close}", ")" * count)
    if kind == "subsel":
        ends = "".join(f") q{number}" for number in range(count))
        return "select nir from (" * count + "select nir from lab.patient" + ends
    if kind == "union":
        one = "select nir from patient where id>{} and id<={}"
        return " union all ".join(one.format(n * 100, n * 100 + 100) for n in range(count))
    raise ValueError(f"a step generates {kind!r}, expected one of {sorted(lists)}, parens, ...")


def _range(loop: list[Any]) -> tuple[Iterable[Any], int]:
    """Return the values of a loop and the width of its step."""
    if len(loop) == 3 and all(isinstance(one, int) for one in loop):
        return range(*loop), loop[2]
    return loop, 1


def _as_error(done: subprocess.CompletedProcess[bytes]) -> bytes:
    """Return what a tool complained of as the fields of an ErrorResponse."""
    done.stderr.decode("utf-8", "replace")
    parts = {"M": "ERROR:  ", "D": "DETAIL:  "}
    found = b""
    for line in done.stderr.decode("utf-8", "replace").splitlines():
        for letter, mark in parts.items():
            found += f"{letter}{line.split(mark, 1)[1]}\0".encode() if mark in line else b""
    return found
