"""PL/pgSQL source to the steps it may take, in any order and any number of times.

Only what moves values is kept: what is assigned, asked, returned, raised and run. Which branch is
taken nobody can tell, so control is only known as far as it decides whether a step may be taken
again (``looped``). Whatever is not read with certainty raises ``Unreadable``.

Source: PostgreSQL documentation, "PL/pgSQL"; ``pl_gram.y`` (an expression ends at the first THEN or
LOOP outside of parentheses; INTO belongs to PL/pgSQL unless INSERT or MERGE is before it).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from proxy.sql.facts.plpgsql_steps import Block, Does, Step
from proxy.sql.facts.plpgsql_tokens import ASSIGNS, Tokens, Unreadable

_LEVELS: Final = frozenset({"debug", "log", "info", "notice", "warning", "exception"})
_CURSOR_WORDS: Final = frozenset({"scroll", "no"})


@lru_cache(maxsize=256)
def read_source(source: str) -> Block:
    """Return what a source may do. Errors: ``Unreadable``."""
    return _Reader(source).read()


class _Reader(Tokens):
    """Reads a source from its first token to its last."""

    def __init__(self, source: str) -> None:
        lines = source.lstrip().split("\n")
        while lines and lines[0].startswith("#"):
            if "use_variable" in lines[0]:
                raise Unreadable("variables hide columns (#variable_conflict use_variable)")
            lines = "\n".join(lines[1:]).lstrip().split("\n")
        super().__init__("\n".join(lines))
        self.block = Block()
        self.open: list[str] = []  # what END closes: block, if, case, loop

    def read(self) -> Block:
        while True:
            self._statement()
            if not self.open and self.word() not in {"declare", "begin", "<<"}:
                break
        if self.word() == ";":
            self.at += 1
        if self.open or self.at < len(self.tokens):
            raise Unreadable("a block that does not end where it should")
        return self.block

    def _step(
        self,
        does: Does,
        text: str,
        targets: tuple[str, ...] = (),
        using: tuple[str, ...] = (),
        *,
        partly: bool = False,
    ) -> None:
        looped = "loop" in self.open
        self.block.steps.append(Step(does, text, targets, using, looped, partly))

    # statements

    def _statement(self) -> None:
        if self.word() == "<<":
            self.at += 1
            self.block.labels.add(self.name())
            self.take(">>")
            return
        known = getattr(self, f"_read_{self.word()}", None)
        is_assigned = self._is_assignment()
        if is_assigned:
            self._assignment()
        elif known is not None:
            known()
        else:
            self._sql()

    def _is_assignment(self) -> bool:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind not in {"word", "quoted"}:
            return False
        before = self.at
        self.at += 1
        try:
            self.path()
        except Unreadable:
            return False
        finally:
            after, self.at = self.at, before
        index = after - before
        return self.word(index) in ASSIGNS

    def _assignment(self) -> None:
        target = self.name()
        partly = self.path()
        self.take(*ASSIGNS)
        self._step(Does.ASSIGN, self.until(";"), (target,), partly=partly)
        self.at += 1

    def _read_declare(self) -> None:
        self.at += 1
        while self.word() != "begin":
            if self.word() == "declare":
                self.at += 1
                continue
            self._declaration()

    def _declaration(self) -> None:
        name = self.name()
        self.block.variables.append(name)
        if self.word() == "alias":
            self.at += 1
            self.take("for")
            token = self.tokens[self.at]
            self.block.aliases[name] = token.value
            self.at += 1
            self.take(";")
            return
        if self.word() in {*_CURSOR_WORDS, "cursor"}:
            self._cursor(name)
            return
        self.until(";", ":=", "=", "default")
        if self.take() != ";":
            self._step(Does.ASSIGN, self.until(";"), (name,))
            self.at += 1

    def _cursor(self, name: str) -> None:
        while self.word() in {*_CURSOR_WORDS, "cursor"}:
            self.at += 1
        if self.word() == "(":
            self.at += 1
            for parameter in self.listed(")"):
                self.block.variables.append(parameter.split()[0].strip('"').lower())
            self.at += 1
        self.take("for", "is")
        self._step(Does.RUN, self.until(";"), (name,))
        self.at += 1

    def _read_begin(self) -> None:
        self.at += 1
        self.open.append("block")

    def _read_exception(self) -> None:
        self.at += 1
        self.block.catches = True
        self._read_when()

    def _read_when(self) -> None:
        """Read WHEN of CASE, or of EXCEPTION, whose conditions are names."""
        self.take("when")
        if self.open and self.open[-1] == "case":
            for text in self.listed("then"):
                self._step(Does.TEST, text)
        else:
            self.until("then")
        self.at += 1

    def _read_if(self) -> None:
        self.open.append("if")
        self._branch()

    def _branch(self) -> None:
        self.at += 1
        self._step(Does.TEST, self.until("then"))
        self.at += 1

    _read_elsif = _read_elseif = _branch

    def _read_else(self) -> None:
        self.at += 1

    def _read_case(self) -> None:
        self.open.append("case")
        self.at += 1
        if self.word() != "when":
            self._step(Does.TEST, self.until("when"))

    def _read_end(self) -> None:
        self.at += 1
        if not self.open:
            raise Unreadable("END closes nothing")
        opened = self.open.pop()
        if opened != "block":
            self.take(opened)
        if self.word() not in {";", ""} or (
            self.at < len(self.tokens) and self.tokens[self.at].kind == "quoted"
        ):
            self.name()
        if self.open:
            self.take(";")

    def _read_loop(self) -> None:
        self.at += 1
        self.open.append("loop")

    def _read_while(self) -> None:
        self.at += 1
        self.open.append("loop")
        self._step(Does.TEST, self.until("loop"))
        self.at += 1

    def _read_foreach(self) -> None:
        self.at += 1
        self.open.append("loop")
        targets, _ = self.targets(strict=False)
        self.until("array")
        self.at += 1
        self._step(Does.ASSIGN, self.until("loop"), targets)
        self.at += 1

    def _read_for(self) -> None:
        self.at += 1
        self.open.append("loop")
        targets, _ = self.targets(strict=False)
        self.block.variables += targets  # a number's variable is not declared
        self.take("in")
        if self.word() == "reverse":
            self.at += 1
        if self.word() == "execute":
            self.at += 1
            text = self.until("loop", "using")
            using = self._using("loop")
            self._step(Does.DYNAMIC, text, targets, using)
        else:
            self._for_range(targets)
        self.take("loop")

    def _for_range(self, targets: tuple[str, ...]) -> None:
        first = self.at
        text = self.until("loop", "..")
        if self.word() == "..":
            self.at += 1
            last = self.until("loop", "by")
            parts = [text, last]
            if self.word() == "by":
                self.at += 1
                parts.append(self.until("loop"))
            for part in parts:
                self._step(Does.TEST, part)
                self._step(Does.ASSIGN, part, targets)
            return
        begins = self.tokens[first].value
        if self.tokens[first].kind in {"word", "quoted"} and begins not in _QUERIES:
            # a cursor that was declared, perhaps with arguments
            self._step(Does.ASSIGN, f'"{begins}"', targets)
            if "(" in text:
                self._step(Does.TEST, f"ROW{text[text.index('(') :]}")
            return
        self._step(Does.EACH, text, targets)

    def _using(self, *ends: str) -> tuple[str, ...]:
        if self.word() != "using":
            return ()
        self.at += 1
        return self.listed(*ends)

    def _read_exit(self) -> None:
        self.at += 1
        if self.word() not in {"when", ";"}:
            self.name()
        if self.word() == "when":
            self.at += 1
            self._step(Does.TEST, self.until(";"))
        self.take(";")

    _read_continue = _read_exit

    def _read_null(self) -> None:
        self.at += 1
        self.take(";")

    _read_commit = _read_null

    def _read_rollback(self) -> None:
        self.until(";")
        self.at += 1

    def _read_return(self) -> None:
        self.at += 1
        word = self.word()
        if word == "query":
            self.at += 1
            if self.word() == "execute":
                self.at += 1
                text = self.until(";", "using")
                self._step(Does.RETURN_DYNAMIC, text, using=self._using(";"))
            else:
                self._step(Does.RETURN_QUERY, self.until(";"))
        else:
            self.at += word == "next"
            self._step(Does.RETURN, self.until(";"))
        self.take(";")

    def _read_raise(self) -> None:
        self.at += 1
        if self.word() in _LEVELS:
            self.at += 1
        if self.word() == "sqlstate":
            self.at += 1
        if self.word() == ";":
            self.at += 1
            return
        self.until(",", ";", "using")  # the format, or the name of a condition
        shown: list[str] = []
        while self.word() == ",":
            self.at += 1
            shown.append(self.until(",", ";", "using"))
        for option in self._using(";"):
            _, _, value = option.replace(":=", "=", 1).partition("=")
            shown.append(value.strip())
        for text in shown:
            self._step(Does.RAISE, text)
        self.take(";")

    def _read_assert(self) -> None:
        self.at += 1
        condition, *message = self.listed(";")
        self._step(Does.TEST, condition)
        for text in message:
            self._step(Does.RAISE, text)
        self.take(";")

    def _read_perform(self) -> None:
        self.at += 1
        self._step(Does.RUN, f"SELECT {self.until(';')}")
        self.at += 1

    def _read_execute(self) -> None:
        self.at += 1
        text = self.until(";", "into", "using")
        targets: tuple[str, ...] = ()
        using: tuple[str, ...] = ()
        while self.word() in {"into", "using"}:
            if self.take() == "into":
                targets, _ = self.targets()
            else:
                using = self.listed(";", "into")
        self._step(Does.DYNAMIC, text, targets, using)
        self.take(";")

    def _read_get(self) -> None:
        text = self.until(";")
        self.at += 1
        items = re.split(r"\bdiagnostics\b", text, maxsplit=1, flags=re.IGNORECASE)[-1]
        names = re.findall(r'"?([\w$]+)"?(?:\[[^\]]*\])?\s*:?=', items)
        self._step(Does.TELL, "", tuple(name.lower() for name in names))

    def _read_open(self) -> None:
        self.at += 1
        name = self.name()
        while self.word() in _CURSOR_WORDS:
            self.at += 1
        if self.word() == "for":
            self.at += 1
            if self.word() == "execute":
                self.at += 1
                text = self.until(";", "using")
                self._step(Does.DYNAMIC, text, (name,), self._using(";"))
            else:
                self._step(Does.RUN, self.until(";"), (name,))
        elif self.word() == "(":
            arguments = self.until(";")
            self._step(Does.TEST, f"ROW{arguments}")
        self.take(";")

    def _read_fetch(self) -> None:
        first = self.at
        self.until(";", "into")
        cursor = self.tokens[self.at - 1].value
        if self.word() == "into" and self.at > first + 1:
            self.at += 1
            targets, _ = self.targets()
            self._step(Does.ASSIGN, f'"{cursor}"', targets)
        self.take(";")

    def _read_move(self) -> None:
        self.until(";")
        self.at += 1

    _read_close = _read_move

    def _sql(self) -> None:
        """Read a statement of SQL, with INTO taken out of it."""
        parts: list[str] = []
        targets: tuple[str, ...] = ()
        partly = False
        first = self.at
        while self.word() != ";":
            if self.at >= len(self.tokens):
                raise Unreadable("; is missing")
            before = self.tokens[self.at - 1].value if self.at > first else ""
            if self.word() == "into" and before not in {"insert", "merge"}:
                if targets:
                    raise Unreadable("two INTO in a statement")
                parts.append(self.text(first, self.at))
                self.at += 1
                targets, partly = self.targets()
                first = self.at
            else:
                self.at += 1
        parts.append(self.text(first, self.at))
        self.at += 1
        self._step(Does.RUN, " ".join(filter(None, parts)), targets, partly=partly)


_QUERIES: Final = frozenset(
    {"select", "with", "insert", "update", "delete", "merge", "values", "table", "show", "explain"}
)
