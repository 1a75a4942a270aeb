"""Wording of what is wrong with a file: nearest known name, expected type, place.

Shared by rule files and settings, so that both complain in one voice.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

    from proxy.policy.yaml_marks import Document, Path

Model = TypeVar("Model", bound=BaseModel)

_SHOWN: Final = 40
_LISTED: Final = 12
_KEY: Final = "[key]"  # what pydantic adds to the place of a key
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "expected text",
    "int_type": "expected an integer",
    "bool_type": "expected true or false",
    "float_type": "expected a number",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
}


def suggest(name: str, known: Iterable[str]) -> str:
    """Return what to say of a name that is not known: the nearest one, or all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if not names:
        return "expected none"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"expected one of {', '.join(names[:_LISTED])}{more}"


def show(value: Any) -> str:
    """Return a value of a file as a message names it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list" if value else "an empty list"
        case int() | float():
            return str(value)
        case _:
            text = str(value)
            return f"'{text}'" if len(text) <= _SHOWN else f"'{text[:_SHOWN]}...'"


def validate(model: type[Model], value: Any, document: Document, path: Path = ()) -> Model:
    """Return the model of a part of a document.

    Errors: ValueError with the list of problems as its one argument.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [
            (_real_path(detail["loc"], document, path), detail)
            for detail in error.errors(include_url=False)
        ]
        raise ValueError(
            [
                f"{document.at((*path, *place), key=_is_about_key(detail))}: "
                f"{word_for(detail, model, place)}"
                for place, detail in _without_alternatives(found)
            ]
        ) from None


def word_for(detail: ErrorDetails, model: type[BaseModel], path: Path | None = None) -> str:
    """Return what one error of pydantic says, without its place.

    Args:
        detail: the error.
        model: that was asked for.
        path: where the value stands, if ``loc`` of the error has more in it.
    """
    kind, value, location = detail["type"], detail["input"], detail["loc"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    name = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        return f"unknown key '{name}', {suggest(name, _keys(owner))}"
    if kind == "missing":
        return f"'{name}' is missing"
    if name == _KEY:
        return f"name {show(value)}, {_expected(kind, value, context)}"
    named = location if path is None else path
    return f"{_label(named)} is {show(value)}, {_expected(kind, value, context)}"


def _is_about_key(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden" or detail["loc"][-1:] == (_KEY,)


def _without_alternatives(
    found: list[tuple[Path, ErrorDetails]],
) -> list[tuple[Path, ErrorDetails]]:
    """Keep one of the errors that a union gives for one value: the most telling."""
    kept: list[tuple[Path, ErrorDetails]] = []
    told: set[Path] = set()
    for place, detail in found:
        if detail["type"] in {"missing", "extra_forbidden"}:
            kept.append((place, detail))
            continue
        inside = any(
            len(other) > len(place) and other[: len(place)] == place
            for other, one in found
            if one is not detail
        )
        filled = any(
            other == place and one["type"] in {"missing", "extra_forbidden"} for other, one in found
        )
        is_collection = isinstance(detail["input"], dict | list)
        if place in told or (is_collection and (inside or filled)):
            continue
        told.add(place)
        kept.append((place, detail))
    return kept


def _real_path(location: Path, document: Document, base: Path) -> Path:
    """Leave out what pydantic adds for unions: parts that lead nowhere in the document."""
    path: Path = ()
    for part in location:
        if (*base, *path, part) in document.values:
            path = (*path, part)
    return path


def _expected(kind: str, value: Any, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        allowed = [part.strip(" '") for part in context["expected"].replace(" or ", ",").split(",")]
        return suggest(str(value), allowed)
    return _EXPECTED.get(kind) or _bounds(kind, context)


def _keys(model: type[BaseModel] | None) -> list[str]:
    fields = model.model_fields if model is not None else {}
    return [field.alias or name for name, field in fields.items()]


def _bounds(kind: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "greater_than_equal":
            return f"expected at least {context['ge']}"
        case "less_than_equal":
            return f"expected at most {context['le']}"
        case "greater_than":
            return f"expected more than {context['gt']}"
        case "string_too_short" | "too_short":
            return "expected something"
        case "string_pattern_mismatch":
            return f"expected the form {context['pattern']}"
        case "value_error":
            return str(context["error"])
        case _:
            return f"expected another value ({kind})"


def _label(path: Path) -> str:
    last = path[-1] if path else ""
    return f"'{last}'" if isinstance(last, str) and last else "entry" if path else "the whole"


def _model_at(model: type[BaseModel], location: Path) -> type[BaseModel] | None:
    """Return the model that a location of pydantic's leads to."""
    found: type[BaseModel] | None = model
    for part in location:
        if found is None:
            return None
        if isinstance(part, str) and part in found.model_fields:
            found = _model_in(found.model_fields[part].annotation)
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for part in get_args(annotation) if (m := _model_in(part))), None)
