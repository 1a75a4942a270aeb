"""Rule files to a Policy, or to every problem in them at once.

Files come as texts by name, in order: those of Vigie first, then the site's. Later folders win:
a list or threshold defined again in another folder replaces the earlier one, in the same folder it
is a mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from proxy.errors import ConfigurationError
from proxy.policy.blocks import Block
from proxy.policy.budgets import BudgetReader, is_for_all_others
from proxy.policy.conditions import ConditionReader, comparisons_of, compile_condition
from proxy.policy.defined import Defined, File
from proxy.policy.end_users import lacks_trust, read_trusts
from proxy.policy.facts_view import FACTS, FOR_WHOM
from proxy.policy.mask_data import read_mask
from proxy.policy.overrides import misplaced
from proxy.policy.patterns import read_patterns
from proxy.policy.policy import Exemption, Policy, Rule, Thresholds
from proxy.policy.problems import suggest, validate
from proxy.policy.satisfiable import outcomes
from proxy.policy.schema import BudgetData, OverrideData, RuleData, RuleFile
from proxy.policy.schema_map import build_schema_map
from proxy.policy.working_hours import read_working_hours
from proxy.policy.yaml_marks import read_document
from proxy.terms.finding import Action, Mode, Severity
from proxy.terms.schema_map import SchemaMap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from proxy.policy.conditions import Condition
    from proxy.terms.behalf import Trust
    from proxy.terms.budget import Budget

SUBJECT_RELATIONS: Final = "subject_relations"  # a list that the schema map fills
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_OPAQUE_RULES: Final = "EX9"


def load_policy(files: Mapping[str, str], *, today: date) -> Policy:
    """Return the policy that these files describe.

    Args:
        files: text by name, those of Vigie first.
        today: an exception that ended before it does not load.

    Errors: ConfigurationError with all problems, each as ``file:line:column: ...``.
    """
    loader = _Loader(today)
    for name, text in files.items():
        loader.read(name, text)
    policy = loader.build(_version(files))
    if loader.problems or policy is None:
        raise ConfigurationError(loader.problems)
    return policy


def _version(files: Mapping[str, str]) -> str:
    """Hash the texts, whatever their folders are called on this machine."""
    digest = sha256()
    for text in files.values():
        digest.update(f"{len(text)}\n{text}\n".encode(errors="replace"))
    return digest.hexdigest()[:12]


@dataclass(slots=True)
class _Loader:
    """Collects what the files say, and what is wrong with it."""

    today: date
    problems: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    lists: dict[str, Defined] = field(default_factory=dict)
    rules: dict[str, Defined] = field(default_factory=dict)
    budgets: dict[str, Defined] = field(default_factory=dict)
    overrides: dict[str, Defined] = field(default_factory=dict)
    thresholds: Defined | None = None
    schema_map: Defined | None = None
    names: dict[str, frozenset[str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # facts, by any condition
    unreadable: bool = False
    salvaged: set[str] = field(default_factory=set)  # names that files with problems define

    def read(self, name: str, text: str) -> None:
        """Take one file."""
        try:
            document = read_document(text, name)
        except ConfigurationError as error:
            self.problems.extend(error.problems)
            self.unreadable = True
            return
        if document.value is None:
            self.problems.append(f"{name}:1:1: is empty, expected format: 1")
            return
        try:
            data = validate(RuleFile, document.value, document)
        except ValueError as error:
            self.problems.extend(error.args[0])
            self._salvage(document.value)
            return
        file = File(document, data)
        self.files.append(file)
        for list_name, members in data.lists.items():
            self._define(
                self.lists, "list", list_name, Defined(file, ("lists", list_name), members)
            )
        for index, rule in enumerate(data.rules):
            self._define_id(self.rules, rule.id, Defined(file, ("rules", index), rule))
        for index, budget in enumerate(data.budgets):
            self._define_id(self.budgets, budget.id, Defined(file, ("budgets", index), budget))
        for rule_id, override in data.overrides.items():
            defined = Defined(file, ("overrides", rule_id), override)
            self._define(self.overrides, "override of", rule_id, defined)
        self._define_single(file)

    def _salvage(self, value: Any) -> None:
        """Note what a file with problems defines, so that others are not blamed for using it."""
        if not isinstance(value, dict):
            return
        if isinstance(value.get("lists"), dict):
            self.salvaged.update(f"${name}" for name in value["lists"])
        for section in ("rules", "budgets"):
            entries = value.get(section)
            for one in entries if isinstance(entries, list) else ():
                if isinstance(one, dict):
                    self.salvaged.add(str(one.get("id")))

    def _complain(self, at: Defined, what: str, *inside: str | int, key: bool = False) -> None:
        place = at.file.document.at((*at.path, *inside), key=key)
        self.problems.append(f"{place}: {what}")

    def _define(self, known: dict[str, Defined], what: str, name: str, defined: Defined) -> None:
        first = known.get(name)
        if first is not None and first.file.folder == defined.file.folder:
            self._complain(
                defined, f"{what} '{name}' is defined twice, first at {first.at}", key=True
            )
        elif what == "list" and name == SUBJECT_RELATIONS:
            self._complain(defined, f"list '{name}' is filled by the schema map", key=True)
        else:
            known[name] = defined

    def _define_id(self, known: dict[str, Defined], name: str, defined: Defined) -> None:
        first = self.rules.get(name) or self.budgets.get(name)
        if first is not None:
            self._complain(defined, f"id '{name}' is used twice, first at {first.at}", "id")
        else:
            known[name] = defined

    def _define_single(self, file: File) -> None:
        if file.data.thresholds is not None:
            defined = Defined(file, ("thresholds",), file.data.thresholds)
            if self.thresholds and self.thresholds.file.folder == file.folder:
                self._complain(
                    defined, f"second thresholds, first at {self.thresholds.at}", key=True
                )
            self.thresholds = defined
        if file.data.schema_map is not None:
            defined = Defined(file, ("schema_map",), file.data.schema_map)
            if self.schema_map:
                self._complain(
                    defined, f"second schema map, first at {self.schema_map.at}", key=True
                )
            self.schema_map = defined

    def build(self, version: str) -> Policy | None:
        """Return the policy; None or an unusable one if there are problems."""
        if self.unreadable:
            return None  # what it defines is not known; the others would be blamed for it
        schema_map = SchemaMap()
        if self.schema_map is not None:
            where = self.schema_map
            schema_map = build_schema_map(where.value, where.file.document, self.problems)
        self.names = {name[1:]: frozenset() for name in self.salvaged if name.startswith("$")}
        self.names |= {name: frozenset(found.value) for name, found in self.lists.items()}
        self.names[SUBJECT_RELATIONS] = frozenset(map(str, schema_map.subject_relations))
        exemptions = self._exemptions()
        rules = tuple(
            rule
            for defined in self.rules.values()
            if (rule := self._rule(defined, exemptions)) is not None
        )
        budgets = tuple(
            budget for defined in self.budgets.values() for budget in self._budget(defined)
        )
        trusts = read_trusts(self._blocks("end_users"))
        hours = read_working_hours(self._blocks("working_hours"))
        self._check_trusts(trusts)
        thresholds = self._thresholds()
        patterns = tuple(
            pattern
            for file in self.files
            for pattern in read_patterns(file.data.patterns, file.document, self.problems)
        )
        self._check_overrides()
        self._check_whole()
        if self.problems:
            return None
        order = tuple(sorted(rules, key=lambda rule: rule.id))
        return Policy(
            order,
            budgets,
            schema_map,
            version,
            thresholds,
            self.names,
            patterns,
            masks=tuple(rule for rule in order if rule.mask is not None),
            trusts=trusts,
            working_hours=hours,
            asks_for_whom=not FOR_WHOM.isdisjoint(self.asked),
        )

    def _blocks(self, section: str) -> Iterator[Block[Any]]:
        """Yield the blocks of all files that say something of roles."""
        for file in self.files:
            for index, data in enumerate(getattr(file.data, section)):
                at = Defined(file, (section, index), data)
                yield Block(data, self._of_list(at, data.roles, "roles"), self._teller(at))

    def _check_trusts(self, trusts: tuple[Trust, ...]) -> None:
        """Complain of budgets that count by names that nobody says."""
        if self.problems:
            return
        for defined in self.budgets.values():
            for budget in self._budget(defined)[:1]:
                if (found := lacks_trust(budget, trusts)) is not None:
                    self._complain(defined, *found)

    def _check_whole(self) -> None:
        """Complain of what no single file lacks. Only of files that could all be read."""
        if self.problems:
            return
        if self.schema_map is None:
            self.problems.append("policy: no schema_map, expected one in a file of the site")
        every = [budget.value for budget in self.budgets.values()]
        if not any(map(is_for_all_others, every)):
            self.problems.append(
                "policy: no budget of distinct_subjects without roles, expected one for all others"
            )

    def _thresholds(self) -> Thresholds:
        if self.thresholds is None:
            return Thresholds()
        data = self.thresholds.value
        if data.flag > data.block:
            self._complain(self.thresholds, f"flag {data.flag} above block {data.block}")
        return Thresholds(data.flag, data.block)

    def _condition(self, at: Defined, value: Any, *inside: str) -> Condition | None:
        reader = ConditionReader(at.file.document, self.names, self.problems)
        found = reader.read(value, (*at.path, *inside))
        if found is not None:
            self.asked.update(one.fact for one in comparisons_of(found))
        return found

    def _rule(self, at: Defined, exemptions: Mapping[str, tuple[Exemption, ...]]) -> Rule | None:
        data: RuleData = at.value
        when = self._condition(at, data.when, "when")
        unless = None if data.unless is None else self._condition(at, data.unless, "unless")
        placeholders = _PLACEHOLDER.findall(data.explain)
        for name in (name for one in placeholders for name in one.split("|")):
            if name not in FACTS:
                self._complain(
                    at, f"unknown fact '{name}' in explain, {suggest(name, FACTS)}", "explain"
                )
        if data.explain.count("{") != len(placeholders):
            self._complain(at, "brace without its other half in explain", "explain")
        changes = self._override(data.id)
        action = changes.action or data.action
        weight = data.weight if changes.weight is None else changes.weight
        mask = read_mask(data, self._teller(at))
        if action is None and weight == 0 and mask is None:
            self._complain(at, "neither weight nor action nor mask, expected one of them")
        if when is None or (data.unless is not None and unless is None):
            return None
        if unless is not None:
            self._check_unless(at, unless)
        if not self._can_matter(at, when):
            return None
        mode = changes.mode or ("observe" if data.status == "sandbox" else data.mode)
        return Rule(
            id=data.id,
            title=data.title,
            severity=Severity(data.severity),
            weight=weight,
            action=Action[(action or "allow").upper()],
            mode=Mode(mode),
            when=compile_condition(when),
            unless=None if unless is None else compile_condition(unless),
            explanation=data.explain,
            why=data.why.strip(),
            facts=tuple(dict.fromkeys(one.fact for one in comparisons_of(when))),
            tests=tuple(comparisons_of(when)),
            exemptions=exemptions.get(data.id, ()),
            reads_opaque=data.id.startswith(_OPAQUE_RULES),
            tags=tuple(data.tags),
            revision=data.revision,
            mask=mask,
        )

    def _can_matter(self, at: Defined, when: Condition) -> bool:
        found = outcomes(when)
        if found == {False}:
            self._complain(at, "can never hold, expected conditions that go together", "when")
        elif found == {True}:
            self._complain(at, "holds for every statement, expected a narrower condition", "when")
        return len(found) > 1

    def _exemptions(self) -> dict[str, tuple[Exemption, ...]]:
        found: dict[str, tuple[Exemption, ...]] = {}
        for file in self.files:
            for index, data in enumerate(file.data.exceptions):
                at = Defined(file, ("exceptions", index))
                unless = self._condition(at, data.unless, "unless")
                if data.rule not in self.rules and data.rule not in self.salvaged:
                    hint = suggest(data.rule, self.rules)
                    self._complain(at, f"exception of unknown rule '{data.rule}', {hint}", "rule")
                expires = self._day(at, data.expires)
                if unless is None or expires is None:
                    continue
                self._check_unless(at, unless)
                one = Exemption(compile_condition(unless), data.owner, expires, data.why.strip())
                found[data.rule] = (*found.get(data.rule, ()), one)
        return found

    def _check_unless(self, at: Defined, unless: Condition) -> None:
        possible = outcomes(unless)
        if possible == {True}:
            self._complain(at, "exempts everybody, expected a narrower condition", "unless")
        elif possible == {False}:
            self._complain(at, "exempts nobody, expected conditions that go together", "unless")

    def _day(self, at: Defined, text: str) -> date | None:
        try:
            found = date.fromisoformat(text)
        except ValueError:
            self._complain(at, f"'{text}' is no day, expected YYYY-MM-DD", "expires")
            return None
        if found < self.today:
            self._complain(at, f"exception expired on {text}, expected a day to come", "expires")
            return None
        return found

    def _override(self, name: str) -> OverrideData:
        defined = self.overrides.get(name)
        return OverrideData(why="-") if defined is None else defined.value

    def _check_overrides(self) -> None:
        for name, at in self.overrides.items():
            if name in self.salvaged:
                continue
            for what, inside in misplaced(name, at.value, self.rules, self.budgets):
                self._complain(at, what, *filter(None, (inside,)), key=inside != "")

    def _budget(self, at: Defined) -> tuple[Budget, ...]:
        relations = self._of_list(at, at.value.relations, "relations")
        self._check_relations(at, relations)
        made = BudgetReader(at.value, self._override(at.value.id), self._teller(at))
        return made.read(self._roles(at, at.value), relations)

    def _teller(self, at: Defined) -> Callable[[str, str], None]:
        return lambda what, inside: self._complain(at, what, inside)

    def _check_relations(self, at: Defined, names: frozenset[str]) -> None:
        if SUBJECT_RELATIONS in self.names and not self.problems:
            known = self.names[SUBJECT_RELATIONS]
            for name in sorted(names - known):
                hint = suggest(name, known)
                self._complain(at, f"unknown subject relation '{name}', {hint}", "relations")

    def _roles(self, at: Defined, data: BudgetData) -> frozenset[str]:
        return self._of_list(at, data.roles, "roles")

    def _of_list(self, at: Defined, said: list[str] | str | None, key: str) -> frozenset[str]:
        """Return what a key names, by itself or by a list."""
        if isinstance(said, list):
            if not said:
                self._complain(at, f"'{key}' is an empty list, expected {key}, or no key", key)
            for index, name in enumerate(said):
                if name.startswith("$"):
                    self._complain(at, f"list '{name}' within a list", key, index)
            return frozenset(said)
        if said is None:
            return frozenset()
        found = self.names.get(said[1:])
        if found is None:
            hint = suggest(said, [f"${name}" for name in self.names])
            self._complain(at, f"unknown list '{said}', {hint}", key)
        elif not found and said not in self.salvaged:
            # empty would mean everything
            self._complain(at, f"list '{said}' is empty, expected {key}", key)
        return found or frozenset()
