"""A draft as a rule file to review: every column with its reason and how sure it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from proxy.policy.draft.guess import Surety
from proxy.terms.column_class import ColumnClass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.policy.draft.keys import Proposal
    from proxy.policy.draft.live_schema import LiveSchema
    from proxy.policy.draft.propose import Draft

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
# YAML 1.1 takes these for something else than text
_WORDS: Final = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_ORDER: Final = tuple(Surety)
_HEAD: Final = """\
# A draft of the schema map, made from the live catalog. Review it before it decides anything:
#   - Each column has its reason and how sure it is. Begin with what is `unsure`.
#   - What is missing here is of nobody to Vigie. The list at the end is of people who are
#     taken for no {subject}s; is one of those tables about {subject}s after all?
#   - The same key space in two relations means: the same {subject}.
# Classes: key names a {subject} by a number; identity says who it is; quasi identifies in
# combination; health is what is known of it; none is of nobody.
"""


def write_draft(draft: Draft, schema: LiveSchema) -> str:
    """Return the YAML text of a draft. No value of the database is in it."""
    lines = [*_HEAD.format(subject=draft.subject).splitlines(), *_summary(draft, schema)]
    lines += ["format: 1", "schema_map:", f"  subject: {_quoted(draft.subject)}", "  relations:"]
    for relation, proposals in draft.relations.items():
        kept = schema.relations[relation]
        if kept.unsampled:
            lines.append(f"    # no values were looked at: {_comment(kept.unsampled)}")
        lines += [f"    {_quoted(str(relation))}:", "      columns:"]
        types = {column.name: _bare_type(column.type) for column in kept.columns}
        lines += [f"        {one}" for one in _columns(proposals, types)]
        lines.append("")
    lines += [*_functions(draft, schema), *_passed(draft)]
    return "\n".join(lines).rstrip() + "\n"


def draft_as_json(draft: Draft, schema: LiveSchema) -> dict[str, Any]:
    """Return a draft as a value for JSON."""
    return {
        "subject": draft.subject,
        "relations": {
            str(relation): {
                name: {
                    "class": one.column_class.value,
                    "key": one.space,
                    "sure": one.surety.name.lower(),
                    "why": one.why,
                }
                for name, one in proposals.items()
            }
            for relation, proposals in draft.relations.items()
        },
        "passed": {str(relation): why for relation, why in draft.passed.items()},
        "unsampled": {
            str(one.relation): one.unsampled for one in schema.relations.values() if one.unsampled
        },
        "problems": list(schema.problems),
    }


def _summary(draft: Draft, schema: LiveSchema) -> Iterator[str]:
    counts = Counter(one.surety for found in draft.relations.values() for one in found.values())
    said = ", ".join(f"{counts[one]} {one.name.lower()}" for one in reversed(_ORDER))
    of_all = f"{len(draft.relations)} of {len(schema.relations)} relations"
    yield f"# {of_all}; columns: {said}."
    for problem in schema.problems:
        yield f"# Not read: {_comment(problem)}"


def _bare_type(type_name: str) -> str:
    """Return a type as the map has it: without its length."""
    return re.sub(r"\(.*?\)", "", type_name)


def _columns(proposals: dict[str, Proposal], types: dict[str, str]) -> Iterator[str]:
    for name, one in proposals.items():
        said: str = one.column_class.value
        if one.space is not None:
            said = f"{{class: {said}, key: {one.space}, type: {types[name]}}}"
        yield f"{_quoted(name)}: {said}  # {one.surety.name.lower()}: {_comment(one.why)}"


def _functions(draft: Draft, schema: LiveSchema) -> Iterator[str]:
    subjects = {
        relation
        for relation, found in draft.relations.items()
        if any(one.column_class is not ColumnClass.NONE for one in found.values())
    }
    rows = {one.name: one.row_of for one in schema.functions if one.row_of in subjects}
    if rows:
        yield "  functions:"
        for name, relation in rows.items():
            said = f"{{columns_of: {_quoted(str(relation))}}}"
            yield f"    {_quoted(name)}: {said}  # sure: returns rows of it"
        yield ""
    others = sorted(
        {one.name for one in schema.functions if one.name not in rows and not one.is_trigger}
    )
    if others:
        yield "  # Functions that are not drafted: what these return is charged by its bytes until"
        yield "  # someone who knows them writes `harmless`, `subject_argument` or `columns` here."
        yield from (f"  #   {_comment(name)}" for name in others)
        yield ""


def _passed(draft: Draft) -> Iterator[str]:
    if draft.passed:
        yield f"  # People, but no {draft.subject}s as it seems:"
        for relation, why in draft.passed.items():
            yield f"  #   {_comment(str(relation))}: {_comment(why)}"


def _quoted(name: str) -> str:
    is_plain = _PLAIN.fullmatch(name) is not None and name.lower() not in _WORDS
    return name if is_plain else json.dumps(name, ensure_ascii=False)


def _comment(text: str) -> str:
    """Return a text that stays within its comment, whatever a name in it holds."""
    return "".join(one if one.isprintable() else "?" for one in text)
