"""Text of a Query or Parse message to facts. Total: what cannot be read is an opaque statement.

Facts are kept by exact text, and by template where they do not depend on the literals. Literals
that facts depend on (limits, keys) are read again from each text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from proxy.sql.assemble import assemble
from proxy.sql.cache import TwoGenerations
from proxy.sql.facts.bounds import bound_of_literal
from proxy.sql.facts.filters import begins_with_letter
from proxy.sql.grammar import MAX_INLINE_BYTES, GrammarError, decode_tree, parse
from proxy.sql.template import Template, cut_literals, display
from proxy.sql.text import TextError, decode_text
from proxy.sql.witness import MAX_BYTES
from proxy.terms.facts import KeyFilter, Kind, Literal, StatementFacts, with_literals

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.sql.assemble import Assembled, Slots
    from proxy.sql.catalog import Catalog
    from proxy.sql.worker import WorkerOutcome
    from proxy.terms.schema_map import SchemaMap

MIB: Final = 1024 * 1024
_ENTRY_BYTES: Final = 2048  # what facts take beside their text, measured
_MOST_MARKS: Final = 65536
_State = tuple[int, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class _Variant:
    """Facts of one template, and the literals they hold for."""

    facts: StatementFacts
    slots: Slots


class Analyser:
    """Gives the facts of statements; keeps those it has given, bounded in bytes."""

    def __init__(
        self,
        schema_map: SchemaMap,
        *,
        inline_bytes: int = MAX_BYTES,  # larger ones sqlglot is not asked about anyway
        cache_bytes: int = 64 * MIB,
        cut: Callable[[str], Template | None] = cut_literals,
    ) -> None:
        self._cut = cut  # the compiled one, if it is there
        self._map = schema_map
        self._inline_bytes = min(inline_bytes, MAX_INLINE_BYTES)
        self._texts: TwoGenerations[tuple[str, _State], tuple[StatementFacts, ...]]
        self._texts = TwoGenerations(cache_bytes // 2)
        self._templates: TwoGenerations[tuple[str, _State], dict[tuple[str, ...], _Variant]]
        self._templates = TwoGenerations(cache_bytes // 4)
        self._outcomes: TwoGenerations[str, WorkerOutcome] = TwoGenerations(cache_bytes // 4)
        self._bodies: TwoGenerations[tuple[int, int, tuple[str, ...] | None], bool]
        self._bodies = TwoGenerations(MIB)
        self._once: set[int] = set()  # hashes of texts that were found by their template, once
        self.found_by = "miss"  # how the last analyse had its facts: exact, template or miss

    def needs_worker(self, text: bytes) -> bool:
        """Whether the text is too large to be parsed here. See ``parse_in_worker``."""
        return len(text) > self._inline_bytes

    def accept(self, text: bytes, encoding: str, outcome: WorkerOutcome) -> None:
        """Keep what a worker found, so that the next ``analyse`` of this text uses it."""
        try:
            decoded = decode_text(text, encoding)
        except TextError:
            return
        size = len(decoded) + (len(outcome.tree) if outcome.tree else 0)
        self._outcomes.put(decoded, outcome, size)

    def parse_task(self, text: bytes, encoding: str) -> str | None:
        """Return the text for ``parse_in_worker``; None if ``analyse`` needs no worker.

        That is so for a text that is small, that cannot be decoded, or whose outcome is here.
        """
        if not self.needs_worker(text):
            return None
        try:
            decoded = decode_text(text, encoding)
        except TextError:
            return None
        return None if self._outcomes.get(decoded) is not None else decoded

    def analyse(
        self,
        text: bytes,
        *,
        encoding: str,
        catalog: Catalog | None,
        standard_conforming_strings: bool = True,
    ) -> tuple[StatementFacts, ...]:
        """Return the facts of each statement of the text, at least one. Errors: none.

        Args:
            text: as in the message, without its closing NUL.
            encoding: the session's ``client_encoding``, as last reported.
            catalog: what is known of the database; None: nothing.
            standard_conforming_strings: as last reported. Off: the text is opaque.
        """
        try:
            decoded = decode_text(text, encoding)
        except TextError as error:
            return (_opaque("", error.reason, error.at),)
        if not standard_conforming_strings:
            return (_opaque(decoded, "standard_conforming_strings is off"),)
        state: _State = (0, None) if catalog is None else (catalog.version, catalog.search_path)
        known = self._texts.get((decoded, state))
        if known is not None:
            self.found_by = "exact"
            return known
        self.found_by = "miss"
        try:
            found = self._find(decoded, text, catalog, state)
        except RecursionError:
            found = (_opaque(decoded, "too deep"),)
        except GrammarError as error:
            found = (_opaque(decoded, error.reason, error.at),)
        except Exception as error:  # noqa: BLE001 - fail closed: our fault is an opaque statement
            found = (_opaque(decoded, f"internal {type(error).__name__}"),)
        if catalog is not None and catalog.holds_nobody:
            found = tuple(replace(facts, nobody_in_reach=True) for facts in found)
        is_kept = self.found_by != "template" or self._is_again(decoded)
        if is_kept and found[0].opaque != NEEDS_WORKER:
            self._texts.put((decoded, state), found, len(decoded) * 2 + _ENTRY_BYTES * len(found))
        return found

    def _is_again(self, text: str) -> bool:
        """Whether a text of a known template was here before: most never come again."""
        mark = hash(text)
        if mark in self._once:
            return True
        if len(self._once) >= _MOST_MARKS:
            self._once.clear()
        self._once.add(mark)
        return False

    def _find(
        self, decoded: str, raw: bytes, catalog: Catalog | None, state: _State
    ) -> tuple[StatementFacts, ...]:
        template = self._cut(decoded)
        if template is not None:
            variants = self._templates.get((template.text, state))
            for variant in (variants or {}).values():
                if (reused := _reuse(variant, decoded, template)) is not None:
                    self.found_by = "template"
                    return (reused,)
        large = self.needs_worker(raw)
        if large:
            outcome = self._outcomes.get(decoded)
            if outcome is None:
                return (_opaque(decoded, NEEDS_WORKER),)
            if outcome.tree is None:
                return (_opaque(decoded, outcome.reason or "worker failed", outcome.at),)
            statements = decode_tree(outcome.tree)
        else:
            statements = parse(decoded)
        assembled = assemble(
            decoded, template, statements, catalog, self._map, reduced=large, bodies=self._bodies
        )
        alone = len(assembled) == 1 and template is not None
        facts = tuple(
            replace(
                _with_template(entry.facts, template if alone else self._own(entry.facts.text)),
                shape=object(),
                fits_template=len(assembled) == 1 and _fits(entry),
                fits_keys=len(assembled) == 1 and entry.slots is not None and not entry.slots.used,
            )
            for entry in assembled
        )
        if template is not None and len(facts) == 1 and assembled[0].slots is not None:
            self._keep(template, state, _Variant(facts[0], assembled[0].slots))
        return facts or (StatementFacts(Kind.EMPTY, text=decoded),)

    def _own(self, text: str) -> Template | None:
        """Return the template of a statement that is not alone in its text, to show it."""
        return self._cut(text) if len(text) <= _MAX_SHOWN else None

    def _keep(self, template: Template, state: _State, variant: _Variant) -> None:
        key = (template.text, state)
        variants = dict(self._templates.get(key) or {})
        if len(variants) >= _MAX_VARIANTS:
            variants.pop(next(iter(variants)))
        variants[variant.slots.answers] = variant
        size = len(template.text) + (_ENTRY_BYTES + len(variant.facts.text)) * len(variants)
        self._templates.put(key, variants, size)


_MAX_SHOWN: Final = 4096  # characters; a longer text without template is not shown
NEEDS_WORKER: Final = "too large to be read here"
_MAX_VARIANTS: Final = 4


def _fits(entry: Assembled) -> bool:
    """Whether the facts hold for every text of the template."""
    slots, facts = entry.slots, entry.facts
    if slots is None or slots.used or facts.row_bound_slot is not None:
        return False
    return not any(isinstance(value, Literal) for key in facts.key_filters for value in key.values)


def _reuse(variant: _Variant, text: str, template: Template) -> StatementFacts | None:
    """Return the kept facts for a text of the same template, its own literals put in.

    Where no fact depends on a literal they are the very same value, with the text they were
    first found for: putting another one in would cost more than all the rest.
    """
    slots, facts = variant.slots, variant.facts
    if facts.fits_template:
        return facts
    value_of = template.slots.value
    for (index, how), answer in zip(slots.used, slots.answers, strict=True):
        value = value_of(index)
        if answer != (str(begins_with_letter(value)) if how == "prefix" else value):
            return None
    filters = tuple([_with_own(one, value_of) for one in facts.key_filters])
    bound = facts.row_bound
    if facts.row_bound_slot is not None:
        bound = bound_of_literal(Literal(value_of(facts.row_bound_slot)))
    return with_literals(facts, text.strip().rstrip(";"), filters, bound)


def _with_own(key: KeyFilter, value_of: Callable[[int], str]) -> KeyFilter:
    """Return a filter with the literals of another text of its template."""
    values = tuple(
        [
            Literal(value_of(one.slot), one.slot)
            if isinstance(one, Literal) and one.slot is not None
            else one
            for one in key.values
        ]
    )
    return KeyFilter(key.space, values, key.is_array)


def _with_template(facts: StatementFacts, template: Template | None) -> StatementFacts:
    shown = "" if template is None else display(template).strip()
    digest = blake2b((shown or facts.text).encode(errors="replace"), digest_size=8).hexdigest()
    return replace(facts, template=shown, fingerprint=digest)


def _opaque(text: str, reason: str, at: int | None = None) -> StatementFacts:
    template = cut_literals(text) if len(text) <= _MAX_SHOWN else None
    facts = StatementFacts(Kind.OPAQUE, text=text, opaque=reason, opaque_at=at)
    return _with_template(facts, template)
