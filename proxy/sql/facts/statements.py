"""What each kind of statement does: the dispatch over PostgreSQL's statement nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.bodies import read_do
from proxy.sql.facts.carrying import read_copy, read_declare, read_execute, read_fetch
from proxy.sql.facts.definitions import read_create_as, read_definition, read_view
from proxy.sql.facts.outline import QUERIES, Outline, name_of, read_as
from proxy.sql.facts.outputs import read_targets
from proxy.sql.facts.relations import note_read, resolve
from proxy.sql.facts.scope import Scope
from proxy.sql.facts.session import note_plain_calls, note_set, note_statement
from proxy.sql.facts.tree import Node, unwrap, walk
from proxy.sql.facts.value import NOTHING, Named
from proxy.terms.facts import Kind, SideDoor, TransactionStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.sql.facts.reading import Reading

_PLAIN: Final = {
    "VariableShowStmt": Kind.SHOW,
    "VacuumStmt": Kind.MAINTENANCE,
    "ReindexStmt": Kind.MAINTENANCE,
    "ClusterStmt": Kind.MAINTENANCE,
    "CheckPointStmt": Kind.MAINTENANCE,
    "LockStmt": Kind.MAINTENANCE,
    "RefreshMatViewStmt": Kind.MAINTENANCE,
    "ListenStmt": Kind.LISTEN,
    "UnlistenStmt": Kind.LISTEN,
    "NotifyStmt": Kind.NOTIFY,
    "ConstraintsSetStmt": Kind.SET,
    "LoadStmt": Kind.CREATE_CODE,
}
_GRANTS: Final = frozenset(
    {
        "GrantStmt",
        "GrantRoleStmt",
        "AlterDefaultPrivilegesStmt",
        "CreateRoleStmt",
        "AlterRoleStmt",
        "DropRoleStmt",
        "ReassignOwnedStmt",
        "DropOwnedStmt",
        "AlterOwnerStmt",
    }
)
_CODE: Final = frozenset(
    {
        "CreateFunctionStmt",
        "AlterFunctionStmt",
        "DefineStmt",
        "CreateCastStmt",
        "CreateTransformStmt",
        "RuleStmt",
        "CreateTrigStmt",
        "CreateEventTrigStmt",
        "CreateExtensionStmt",
        "AlterExtensionStmt",
        "AlterExtensionContentsStmt",
        "CreatePolicyStmt",
        "AlterPolicyStmt",
        "CreateOpClassStmt",
        "CreateOpFamilyStmt",
        "AlterOpFamilyStmt",
        "AlterOperatorStmt",
        "AlterTypeStmt",
        "CreatePLangStmt",
        "CreateAmStmt",
        "CreateConversionStmt",
        "CreateRangeStmt",
    }
)
_REMOTE: Final = frozenset(
    {
        "CreateForeignServerStmt",
        "AlterForeignServerStmt",
        "CreateUserMappingStmt",
        "AlterUserMappingStmt",
        "CreateForeignTableStmt",
        "ImportForeignSchemaStmt",
        "CreateFdwStmt",
        "AlterFdwStmt",
        "CreateSubscriptionStmt",
        "AlterSubscriptionStmt",
    }
)
_REPLICATION: Final = frozenset({"CreatePublicationStmt", "AlterPublicationStmt"})
_DDL_PREFIXES: Final = ("Create", "Alter", "Drop", "Rename", "Truncate", "Comment", "SecLabel")
_STEPS: Final = {
    "TRANS_STMT_BEGIN": TransactionStep.BEGIN,
    "TRANS_STMT_START": TransactionStep.BEGIN,
    "TRANS_STMT_COMMIT": TransactionStep.COMMIT,
    "TRANS_STMT_PREPARE": TransactionStep.COMMIT,
    "TRANS_STMT_ROLLBACK": TransactionStep.ROLLBACK,
    "TRANS_STMT_SAVEPOINT": TransactionStep.SAVEPOINT,
    "TRANS_STMT_RELEASE": TransactionStep.RELEASE,
    "TRANS_STMT_ROLLBACK_TO": TransactionStep.ROLLBACK_TO,
}
_DDL: Final = frozenset(
    {
        "IndexStmt",
        "CompositeTypeStmt",
        "ViewStmt",
        "ReplicaIdentityStmt",
    }
)


def read_statement(reading: Reading, node: Node) -> Outline:
    """Return the outline of one statement; what it reads and does goes to ``reading``.

    Errors: none of its own; RecursionError passes.
    """
    kind, body = unwrap(node)
    if kind in QUERIES:
        outline = read_as(reading, node, QUERIES[kind])
        note_plain_calls(reading, kind, body)
        return outline
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(reading, body)
    if kind in _PLAIN:
        for _, relation in _ranges(body):
            note_read(reading, resolve(reading, *name_of(relation)))
        reading.subject_relations.clear()  # none of its rows leaves
        return Outline(_PLAIN[kind], returns_rows=kind == "VariableShowStmt", output=_shown(kind))
    if kind in _REMOTE or kind in _REPLICATION:
        door = SideDoor.REMOTE if kind in _REMOTE else SideDoor.REPLICATION
        reading.side_doors.add(door)
    if kind in _GRANTS:
        reading.changes_catalog = True
        return Outline(Kind.GRANT)
    if kind in _CODE:
        reading.changes_catalog = True
        return Outline(Kind.CREATE_CODE)
    if kind in _DDL or kind in _REMOTE or kind.startswith(_DDL_PREFIXES):
        return read_definition(reading, kind, body)
    return Outline(Kind.OTHER)


def _ranges(body: Node) -> list[tuple[str, Node]]:
    return [(kind, inner) for kind, inner in walk(body) if kind == "RangeVar"]


def _shown(kind: str) -> tuple[Named, ...]:
    return (Named("setting", NOTHING),) if kind == "VariableShowStmt" else ()


def _read_prepare(reading: Reading, body: Node) -> Outline:
    query: Node = body.get("query", {})
    outline = read_statement(reading, query)
    outline.kind, outline.returns_rows = Kind.PREPARE, False
    outline.prepared = str(body.get("name", ""))
    return outline


def _read_explain(reading: Reading, body: Node) -> Outline:
    inner = read_statement(reading, body.get("query", {}))
    analyze = any(
        option.get("DefElem", {}).get("defname") == "analyze"
        and not _is_off(option.get("DefElem", {}).get("arg"))
        for option in body.get("options", ())
    )
    kind = Kind.EXPLAIN_ANALYZE if analyze else Kind.EXPLAIN
    if not analyze:
        reading.creates.clear()
        reading.changes_catalog = reading.stages = False
    plan = (Named("QUERY PLAN", NOTHING),)
    return Outline(
        kind,
        plan,
        returns_rows=True,
        result=inner.result,
        opaque=inner.opaque,
        prepared=inner.prepared,
    )


def _is_off(argument: Node | None) -> bool:
    if not argument:
        return False
    kind, body = unwrap(argument)
    value = body.get("sval") if kind == "String" else body.get(kind.lower()[:1] + "val")
    if kind == "Boolean":
        return not body.get("boolval")
    return str(value if value is not None else 0).lower() in {"off", "false", "0"}


def _read_do(reading: Reading, body: Node) -> Outline:
    options = [one.get("DefElem", {}) for one in body.get("args", ())]
    said = {
        str(one.get("defname")): str(one.get("arg", {}).get("String", {}).get("sval", ""))
        for one in options
    }
    reason = read_do(reading, said.get("language", "plpgsql").lower(), said.get("as", ""))
    reading.changes_catalog = reading.changes_session = True
    return Outline(Kind.DO, opaque=reason)


def _read_call(reading: Reading, body: Node) -> Outline:
    call: Node = body.get("funccall", {})
    reading.level = reading.new_level(counts=True)
    columns = read_targets(reading, [{"ResTarget": {"val": {"FuncCall": call}}}], Scope())
    if reading.unknown_functions:
        reading.changes_catalog = reading.changes_session = True
        reasons = "; ".join(f"{name} {why}" for name, why in sorted(reading.unread.items()))
        opaque = f"procedure that the map does not name: {reasons}" if reasons else (
            "procedure that the map does not name"
        )  # fmt: skip
        return Outline(Kind.CALL, returns_rows=True, opaque=opaque)
    return Outline(Kind.CALL, columns, returns_rows=True)


def _read_set(reading: Reading, body: Node) -> Outline:
    note_set(reading, body)
    note_statement(reading, body)
    return Outline(Kind.SET)


def _read_discard(reading: Reading, body: Node) -> Outline:
    reading.changes_session = True
    reading.changes_catalog = body.get("target") in {"DISCARD_ALL", "DISCARD_TEMP"}
    discards = body.get("target") == "DISCARD_ALL"
    if discards:
        note_statement(reading, {"kind": "VAR_RESET_ALL"})
    return Outline(Kind.SET, discards=discards)


def _read_transaction(reading: Reading, body: Node) -> Outline:
    del reading
    step = _STEPS.get(str(body.get("kind")))
    savepoint = str(body.get("savepoint_name", ""))
    return Outline(Kind.TRANSACTION, transaction=step, savepoint=savepoint)


def _read_drop(reading: Reading, body: Node) -> Outline:
    return read_definition(reading, "DropStmt", body)


def _read_close(reading: Reading, body: Node) -> Outline:
    del reading
    return Outline(Kind.CLOSE, cursor=str(body.get("portalname", "")) or None)


def _read_deallocate(reading: Reading, body: Node) -> Outline:
    del reading
    return Outline(Kind.DEALLOCATE, prepared=str(body.get("name", "")) or None)


def _read_alter_system(reading: Reading, body: Node) -> Outline:
    note_set(reading, body.get("setstmt", {}))
    return Outline(Kind.GRANT)


def _read_create_schema(reading: Reading, body: Node) -> Outline:
    reading.changes_catalog = True
    kind = Kind.DDL
    for element in body.get("schemaElts", ()):
        inner = read_statement(reading, element)
        kind = inner.kind if inner.kind is not Kind.DDL else kind
    return Outline(kind)


_SPECIAL: Final[dict[str, Callable[[Reading, Node], Outline]]] = {
    "CreateTableAsStmt": read_create_as,
    "ViewStmt": read_view,
    "CopyStmt": read_copy,
    "DeclareCursorStmt": read_declare,
    "PrepareStmt": _read_prepare,
    "ExecuteStmt": read_execute,
    "FetchStmt": read_fetch,
    "ExplainStmt": _read_explain,
    "DoStmt": _read_do,
    "CallStmt": _read_call,
    "VariableSetStmt": _read_set,
    "DiscardStmt": _read_discard,
    "TransactionStmt": _read_transaction,
    "DropStmt": _read_drop,
    "ClosePortalStmt": _read_close,
    "DeallocateStmt": _read_deallocate,
    "AlterSystemStmt": _read_alter_system,
    "CreateSchemaStmt": _read_create_schema,
}
