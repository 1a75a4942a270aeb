"""The form of rule files, and its JSON Schema for editors.

Values are checked here one by one; what needs the other files (lists, rule ids) in ``load``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from proxy.policy.conditions import OPERATORS, WORDS
from proxy.policy.facts_view import FACTS, Fact, FactType

_MARK: Final = "x-condition"

Text = Annotated[str, Field(min_length=1)]
Id = Annotated[str, Field(pattern=r"^EX[0-9]{3}$")]
ListName = Annotated[str, Field(pattern=r"^\$[a-z][a-z0-9_]*$")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
ActionName = Literal["allow", "flag", "block", "terminate"]
ModeName = Literal["observe", "enforce"]
SeverityName = Literal["info", "low", "medium", "high", "critical"]
Status = Literal["sandbox", "test", "stable", "deprecated"]
MeasureName = Literal[
    "distinct_subjects", "rows", "bytes", "statements", "questions", "telling_errors",
    "canaries",
    "nir", "rpps", "phone", "email", "iban", "pattern",
]  # fmt: skip
ClassName = Literal["none", "key", "quasi", "identity", "health"]
ConditionData = Annotated[Any, WithJsonSchema({_MARK: True})]
Weight = Annotated[int, Field(ge=0, le=100)]
GroupingName = Literal["role", "address", "certificate", "end_user", "application", "relation"]
DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CommentKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,63}$")]
SettingName = Annotated[
    str, Field(pattern=r"^(application_name|[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+)$")
]
Seconds = Annotated[int, Field(gt=0, le=31 * 86400)]
# how much in how long: {1 min: 20, 1 h: 300, 30 d: 5000}
Span = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6} ?(s|min|h|d)$")]
Limits = Annotated[dict[Span, Annotated[int, Field(ge=0)]], Field(min_length=1)]


class Strict(BaseModel):
    """No unknown keys, nothing converted: ``"5"`` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Documented(Strict):
    """What every rule and budget says of itself."""

    id: Id
    title: Text
    status: Status = "stable"
    severity: SeverityName
    why: Text
    false_positives: list[Text] = Field(default_factory=list)
    references: list[Text] = Field(default_factory=list)
    tags: list[Text] = Field(default_factory=list)
    revision: int = Field(default=1, ge=1)


class MaskData(Strict):
    """Which columns are masked in results, by class, and how.

    ``partial`` leaves the first character or the year, ``hash`` a pseudonym, ``whole`` nothing.
    """

    classes: list[Literal["key", "quasi", "identity", "health"]] = Field(min_length=1)
    how: Literal["whole", "partial", "hash"]


class RuleData(Documented):
    """One rule: holds for a statement, then adds its weight, and may ask for an action.

    One with ``mask`` masks columns of the results instead, and refuses a statement where a masked
    column is more than given as it is.
    """

    scope: Literal["statement"] = "statement"
    when: ConditionData
    unless: ConditionData = None
    weight: Weight = 0
    action: ActionName | None = None
    mode: ModeName = "enforce"
    mask: MaskData | list[MaskData] | None = None
    explain: Text


class SlowData(Strict):
    """Results are held back the longer, the nearer usage is to the limit."""

    from_percent: int = Field(ge=1, le=99)
    by_seconds: int = Field(ge=1, le=30)


class BudgetData(Documented):
    """One budget. ``roles`` absent: whoever no other budget of the kind names.

    Either ``limits``, by window, or one ``limit`` with its ``window_seconds``; a budget per
    statement has a ``limit`` alone. ``bound``: only what is done for an end user who was named,
    or only what is not.
    """

    measure: MeasureName
    roles: list[Text] | ListName | None = None
    per: Literal["everyone", "statement"] | list[GroupingName] = ["role"]
    classes: list[Literal["key", "quasi", "identity", "health"]] | None = Field(
        default=None, min_length=1
    )
    relations: list[Text] | ListName | None = None
    bound: bool | None = None
    limits: Limits | None = None
    window_seconds: Seconds | None = None
    limit: int | None = Field(default=None, ge=0)
    slow: SlowData | None = None
    action: Literal["flag", "block", "terminate"] = "block"
    severity: SeverityName = "critical"
    explain: Text = "has received as much as its budget allows"


class OverrideData(Strict):
    """What a site changes of a shipped rule or budget."""

    action: ActionName | None = None
    weight: Weight | None = None
    mode: ModeName | None = None
    limit: int | None = Field(default=None, ge=0)
    window_seconds: Seconds | None = None
    limits: Limits | None = None
    why: Text


class ExceptionData(Strict):
    """A rule's exemption: for whom, until when, and who answers for it."""

    rule: Id
    unless: ConditionData
    owner: Text
    expires: Day
    why: Text


class SourceData(Strict):
    """Where a name is said: under a key of the comment, or by a setting of the session."""

    comment: CommentKey | None = None
    setting: SettingName | None = None

    @model_validator(mode="after")
    def _is_one(self) -> SourceData:
        if (self.comment is None) == (self.setting is None):
            raise ValueError("expected either comment or setting")
        return self


class EndUsersData(Strict):
    """Roles that are believed when they say for whom they act, if they come from there."""

    roles: list[Text] | ListName
    addresses: list[Text] | None = Field(default=None, min_length=1)
    end_user: SourceData | None = None
    application: SourceData | None = None
    why: Text


class WorkingHoursData(Strict):
    """When roles work: at other times the fact ``off_hours`` holds for them."""

    roles: list[Text] | ListName
    days: list[DayName] = Field(default=[*get_args(DayName)], min_length=1)
    hours: Annotated[str, Field(pattern=r"^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$")]
    time_zone: Text
    why: Text


class ThresholdsData(Strict):
    """From which score on a statement is flagged, and refused."""

    flag: int = Field(ge=1, le=100)
    block: int = Field(ge=1, le=100)


class ColumnData(Strict):
    """A column with more than its class: the value space of its keys, and its type.

    ``type``: without a length (bigint, character); another one in the database is a finding.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    column_class: ClassName = Field(alias="class")
    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")] | None = None
    type: Text | None = None


class RelationData(Strict):
    """A relation by its columns; those not named are of no subject."""

    columns: dict[str, ClassName | ColumnData] = Field(min_length=1)


class FunctionData(Strict):
    """What a function gives: one subject's data, the columns listed, or those of a relation."""

    subject_argument: int | None = Field(default=None, ge=1)
    key: Text | None = None
    columns: dict[str, ClassName | ColumnData] | None = Field(default=None, min_length=1)
    columns_of: Text | None = None


class SchemaMapData(Strict):
    """Where a site keeps its subjects."""

    subject: Text
    bytes_per_subject: int = Field(default=6, ge=1, le=1024)
    relations: dict[str, RelationData] = Field(min_length=1)
    functions: dict[str, Literal["harmless"] | FunctionData] = Field(default_factory=dict)


class RuleFile(Strict):
    """A file of rules, budgets, lists and what a site says of itself."""

    format: Literal[1]
    rules: list[RuleData] = Field(default_factory=list)
    budgets: list[BudgetData] = Field(default_factory=list)
    lists: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], list[Text]] = Field(
        default_factory=dict
    )
    exceptions: list[ExceptionData] = Field(default_factory=list)
    overrides: dict[Id, OverrideData] = Field(default_factory=dict)
    end_users: list[EndUsersData] = Field(default_factory=list)
    working_hours: list[WorkingHoursData] = Field(default_factory=list)
    thresholds: ThresholdsData | None = None
    schema_map: SchemaMapData | None = None
    patterns: list[Text] = Field(default_factory=list)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of rule files, conditions and facts included."""
    schema = RuleFile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Vigie rule file"
    schema["$defs"]["Condition"] = _condition_schema()
    replaced = _refer(schema)
    assert isinstance(replaced, dict)
    return replaced


def _refer(value: Any) -> Any:
    """Put a reference to the schema of conditions wherever one stands."""
    if isinstance(value, dict):
        if _MARK in value:
            kept = {key: inner for key, inner in value.items() if key not in {_MARK, "default"}}
            return {**kept, "$ref": "#/$defs/Condition"}
        return {key: _refer(inner) for key, inner in value.items()}
    return [_refer(one) for one in value] if isinstance(value, list) else value


def _condition_schema() -> dict[str, Any]:
    inner = {"$ref": "#/$defs/Condition"}
    parts = {"type": "array", "minItems": 1, "items": inner}
    words = {word: inner if word == "not" else parts for word in WORDS}
    return {
        "title": "Condition",
        "description": "all, any, not, or one fact with one operator",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {**words, **{name: _fact_schema(fact) for name, fact in FACTS.items()}},
    }


def _fact_schema(fact: Fact) -> dict[str, Any]:
    return {
        "description": fact.doc,
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {name: _operand_schema(name, fact) for name in OPERATORS[fact.type]},
    }


def _operand_schema(operator: str, fact: Fact) -> dict[str, Any]:
    one: dict[str, Any] = {"enum": sorted(fact.values)} if fact.values else {"type": "string"}
    if operator in {"any_in", "all_in", "none_in"}:
        listed = {"type": "array", "minItems": 1, "items": one}
        return {"anyOf": [listed, {"type": "string", "pattern": r"^\$[a-z][a-z0-9_]*$"}]}
    if operator in {"absent", "known"} or fact.type is FactType.BOOLEAN:
        return {"type": "boolean"}
    if fact.type is FactType.NUMBER:
        return {"type": "integer"}
    return {"type": "string"} if operator == "matches" else one
