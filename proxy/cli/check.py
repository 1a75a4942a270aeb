"""``vigie check``: what is in force, or everything that is wrong with it."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from proxy.cli.complaints import complain
from proxy.cli.live_schema import drift_from
from proxy.cli.loading import load
from proxy.cli.wording import word_budget
from proxy.errors import ConfigurationError
from proxy.terms.finding import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.cli.loading import Loaded
    from proxy.cli.options import Options
    from proxy.policy import Policy, Rule
    from proxy.policy.drift import Drift
    from proxy.settings import Settings, Upstream
    from proxy.terms.behalf import Trust

_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<what>.*)", re.DOTALL)


def check_policy(options: Options, *, as_json: bool, against: str | None = None) -> int:
    """Write what is in force and return 0, or every problem and return 1.

    With a database to compare with, 3 if it does not fit the schema map.
    """
    drift: tuple[Drift, ...] | None = None
    try:
        loaded = load(options, with_certificates=True)
        if against is not None:
            drift = drift_from(against, loaded.policy.schema_map)
    except ConfigurationError as error:
        if as_json:
            found = [_problem_as_json(problem) for problem in error.problems]
            _write_json({"ok": False, "problems": found})
        else:
            complain(error.problems)
        return 1
    status = 3 if drift else 0
    if as_json:
        told = {} if drift is None else {"drift": [_drift_as_json(one) for one in drift]}
        _write_json({"ok": not drift, **_as_json(loaded), **told})
        return status
    console = Console(highlight=False, soft_wrap=True)
    for name, value in _summary(loaded):
        console.print(Text.assemble((f"{name:<10}", "bold"), value))
    if drift is not None:
        console.print(Text.assemble((f"{'database':<10}", "bold"), _word_drift(drift)))
        complain(f"drift: {one}" for one in drift)
    return status


def _word_drift(drift: tuple[Drift, ...]) -> str:
    if not drift:
        return "fits the schema map"
    return f"does not fit the schema map in {len(drift)} places, see docs/schema-map.md"


def _drift_as_json(drift: Drift) -> dict[str, str]:
    return {"kind": drift.kind.value, "place": drift.place, "what": drift.what}


def _summary(loaded: Loaded) -> Iterator[tuple[str, str]]:
    settings, policy = loaded.settings, loaded.policy
    listen = ", ".join(map(str, settings.listen))
    numbers, limits = _numbers(policy), policy.thresholds
    yield "settings", f"{loaded.source or 'no file'}, mode {settings.mode}, state {settings.state}"
    yield "listens", f"{listen}, before {settings.upstream}; metrics on {settings.http or 'none'}"
    for number, one in enumerate(settings.upstreams):
        yield "" if number else "upstreams", _word_upstream(one)
    yield "encrypted", _word_encryption(settings)
    yield from (("warning", warning) for warning in loaded.warnings)
    yield "policy", f"version {policy.version}, site {settings.site or 'not named'}"
    yield "subjects", f"in {numbers['subject_relations']} relations"
    passive = f"{numbers['observed']} observe only, {numbers['exceptions']} exceptions"
    yield "rules", f"{numbers['rules']}, of which {passive}"
    for number, rule in enumerate(policy.masks):
        yield "" if number else "masks", f"{rule.id} {rule.title}: {_word_mask(rule)}"
    yield "scores", f"flagged from {limits.flag}, refused from {limits.block}"
    for number, trust in enumerate(policy.trusts):
        yield "" if number else "believed", _word_trust(trust)
    for number, budget in enumerate(policy.budgets):
        whose = ", ".join(sorted(budget.roles)) or "every other role"
        yield "" if number else "budgets", f"{budget.id} {whose}: {word_budget(budget)}"


def _word_mask(rule: Rule) -> str:
    """Return which classes a rule masks, and how: identity by hash, quasi by partial."""
    hows = sorted((rule.mask or {}).items())
    said = ", ".join(f"{column_class.value} by {how.value}" for column_class, how in hows)
    return f"{said}, observed only" if rule.mode is Mode.OBSERVE else said


def _word_encryption(settings: Settings) -> str:
    """Return which leg has TLS: applications required, except on 127.0.0.1:6432; ..."""
    frontend, backend = settings.frontend_tls, settings.backend_tls
    if frontend.certificate is None:
        said = "not offered"
    else:
        plain = ", ".join(sorted(map(str, frontend.plaintext)))
        said = f"required, except on {plain}" if plain else "required"
        if frontend.verify != "none":
            said += f", certificates {frontend.verify}"
    return f"applications {said}; database {backend.mode}"


def _word_trust(trust: Trust) -> str:
    """Return who is believed on what: lims_app from 10.0.3.0/24 on end_user by comment user."""
    places = [*map(str, trust.networks), *(["a Unix socket"] if trust.takes_unix else [])]
    where = f" from {', '.join(places)}" if places else ""
    said = (f"{name.value} by {one.kind.value} {one.name}" for name, one in trust.said.items())
    return f"{', '.join(sorted(trust.roles))}{where} on {' and '.join(said)}"


def _trust_as_json(trust: Trust) -> dict[str, Any]:
    return {
        "roles": sorted(trust.roles),
        "addresses": [*map(str, trust.networks), *(["unix"] * trust.takes_unix)],
        **{name.value: {one.kind.value: one.name} for name, one in trust.said.items()},
    }


def _word_upstream(one: Upstream) -> str:
    which = []
    if one.databases is not None:
        which.append(f"for {', '.join(sorted(one.databases))}")
    if one.listen is not None:
        which.append(f"by {', '.join(sorted(map(str, one.listen)))}")
    return f"{one.address} {' '.join(which)}"


def _numbers(policy: Policy) -> dict[str, int]:
    return {
        "rules": len(policy.rules),
        "observed": sum(rule.mode is Mode.OBSERVE for rule in policy.rules),
        "exceptions": sum(len(rule.exemptions) for rule in policy.rules),
        "subject_relations": len(policy.schema_map.subject_relations),
    }


def _as_json(loaded: Loaded) -> dict[str, Any]:
    settings, policy = loaded.settings, loaded.policy
    return {
        "settings": {
            "file": None if loaded.source is None else str(loaded.source),
            "listen": [str(one) for one in settings.listen],
            "upstream": str(settings.upstream),
            "upstreams": [
                {
                    "address": str(one.address),
                    "databases": None if one.databases is None else sorted(one.databases),
                    "listen": None if one.listen is None else sorted(map(str, one.listen)),
                }
                for one in settings.upstreams
            ],
            "mode": settings.mode.value,
            "state": settings.state,
            "http": None if settings.http is None else str(settings.http),
            "site": None if settings.site is None else str(settings.site),
            "frontend_tls": settings.frontend_tls.certificate is not None,
            "backend_tls": settings.backend_tls.mode,
        },
        "warnings": list(loaded.warnings),
        "policy": {
            "version": policy.version,
            **_numbers(policy),
            "thresholds": {"flag": policy.thresholds.flag, "block": policy.thresholds.block},
            "masks": [_mask_as_json(one) for one in policy.masks],
            "believed": [_trust_as_json(one) for one in policy.trusts],
            "budgets": [
                {
                    "id": one.id,
                    "measure": one.measure.value,
                    "per": [grouping.value for grouping in one.per],
                    "bound": one.bound,
                    "classes": sorted(one.classes),
                    "relations": sorted(map(str, one.relations)),
                    "roles": sorted(one.roles),
                    "window_seconds": one.window_seconds,
                    "limit": one.limit,
                    "action": one.action.name.lower(),
                }
                for one in policy.budgets
            ],
        },
    }


def _mask_as_json(rule: Rule) -> dict[str, Any]:
    hows = {name.value: how.value for name, how in (rule.mask or {}).items()}
    return {"id": rule.id, "title": rule.title, "mode": rule.mode.value, "classes": hows}


def _problem_as_json(problem: str) -> dict[str, Any]:
    found = _PLACE.fullmatch(problem)
    if found is None:
        return {"what": problem}
    place = {"line": int(found["line"]), "column": int(found["column"])}
    return {"file": found["file"], **place, "what": found["what"]}


def _write_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
