"""``vigie order``: work orders made, shown, revoked and reported."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.audit.order_trail import OrderTrail
from proxy.cli.columns import write_columns
from proxy.errors import ConfigurationError
from proxy.meter.ledger import tally_name
from proxy.meter.subjects import count_subjects
from proxy.net import clock
from proxy.policy.orders import read_order
from proxy.settings import read_settings
from proxy.settings.load import MEMORY
from proxy.stores.orders import (
    FoundOrder,
    OrderError,
    make_keys,
    read_orders,
    read_public_key,
    revoke_order,
    sign_order,
)
from proxy.stores.sqlite import StateError, read_only, read_tallies
from proxy.terms.budget import Grouping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.cli.options import Options
    from proxy.meter.saved import SavedTally
    from proxy.settings import Settings

_SPAN: Final = re.compile(r"([1-9][0-9]{0,4}) ?(min|h|d)")
_UNITS: Final = {"min": 60, "h": 3600, "d": 86400}
_DATES: Final = re.compile(r"([^.:]+\.[^.:]+\.[^.:]+):(.+)\.\.(.+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an order shall say, as it was typed; lists may also be split by commas."""

    roles: Sequence[str]
    subjects: int
    relations: Sequence[str]
    columns: Sequence[str]
    dates: str | None
    lasts: str
    reason: str
    by: str

    def to_text(self, now: float) -> str:
        """Return the order's JSON. Errors: ConfigurationError, by the option that is wrong."""
        span = _SPAN.fullmatch(self.lasts)
        if span is None:
            raise ConfigurationError([f"--for: '{self.lasts}', expected 30min, 4h or 2d"])
        dates = None
        if self.dates is not None:
            found = _DATES.fullmatch(self.dates)
            if found is None:
                example = "lab.resultat.validated_at:2025-01-01..2026-01-01"
                raise ConfigurationError(
                    [f"--dates: '{self.dates}', expected COLUMN:FROM..BEFORE such as {example}"]
                )
            dates = {"column": found[1], "begin": found[2], "end": found[3]}
        day = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")
        return json.dumps(
            {
                "format": 1,
                "id": f"WO-{day}-{secrets.token_hex(4)}",
                "roles": _split(self.roles),
                "subjects": self.subjects,
                "relations": _split(self.relations),
                "columns": _split(self.columns),
                "dates": dates,
                "begins": int(now),
                "ends": int(now) + int(span[1]) * _UNITS[span[2]],
                "reason": self.reason,
                "by": self.by,
            }
        )


def make_order_keys(private: Path, public: Path) -> int:
    """Make the keys, and say what to do with them."""
    _do(make_keys, private, public)
    sys.stdout.write(
        f"{private}: signs orders; keep it from the machine that Vigie runs on\n"
        f"{public}: checks them; name it as orders.public_key\n"
    )
    return 0


def issue_order(options: Options, wanted: Wanted, private: Path) -> int:
    """Write a signed order into the folder, and its id."""
    folder = _folder(_settings(options))
    try:
        order = read_order(wanted.to_text(clock.wall()))
    except ValueError as error:
        raise ConfigurationError([f"order: {error}"]) from None
    path = _do(sign_order, order, private, folder)
    sys.stdout.write(f"{order.id}\n")
    sys.stderr.write(f"written to {path}, in force until {_moment(order.ends)}\n")
    return 0


def revoke(options: Options, order_id: str, *, by: str, why: str) -> int:
    """Revoke an order; Vigie notices within seconds."""
    _do(revoke_order, order_id, _folder(_settings(options)), by=by, why=why)
    return 0


def list_orders(options: Options, *, as_json: bool) -> int:
    """Write every order of the folder with what was used of it."""
    found, used = _read(options)
    if as_json:
        _write_json([_as_json(one, used) for one in found])
        return 0
    rows = [["order", "state", "roles", "used", "subjects", "until", "by", "reason"]]
    for one in found:
        order = one.order
        numbers = (str(used.get(order.id, 0)), str(order.subjects))
        ends = (_moment(order.ends), order.by, order.reason)
        rows.append([order.id, _state(one), ", ".join(sorted(order.roles)), *numbers, *ends])
    if found:
        write_columns(rows, right={3, 4})
    else:
        sys.stdout.write("no work orders\n")
    return 0


def show_order(options: Options, order_id: str, *, as_json: bool) -> int:
    """Write one order in full, with its state and what was used of it."""
    one, used = _one(options, order_id)
    document = _as_json(one, used)
    if as_json:
        _write_json(document)
    else:
        _write_order(document)
    return 0


def report_order(options: Options, order_id: str, audit: Path | None, *, as_json: bool) -> int:
    """Write one order with who used it and what was refused, as far as the audit log tells."""
    one, used = _one(options, order_id)
    path = audit or _settings(options).audit.path
    if path is None:
        sys.stderr.write("audit.path: is not set, so who used it is not told; see --audit\n")
        return show_order(options, order_id, as_json=as_json)
    trail = OrderTrail(one.order)
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            trail.read(lines)
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    document, told = _as_json(one, used), trail.told()
    if as_json:
        _write_json({**document, **told})
        return 0
    _write_order(document)
    sys.stdout.write(f"{'statements':<10} {told['statements']}\n")
    for times in told["used_by"]:
        sys.stdout.write(f"{'used':<10} {_times(times)} by {times['who']}\n")
    for times in told["refused"]:
        sys.stdout.write(f"{'refused':<10} {_times(times)} to {times['who']}: {times['why']}\n")
    return 0


def _one(options: Options, order_id: str) -> tuple[FoundOrder, dict[str, int]]:
    found, used = _read(options)
    one = next((one for one in found if one.order.id == order_id), None)
    if one is None:
        raise ConfigurationError([f"order {order_id}: is not in the folder, see vigie order list"])
    return one, used


def _write_order(document: dict[str, Any]) -> None:
    for name, value in document.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        sys.stdout.write(f"{name:<10} {'-' if shown is None else shown}\n")


def _times(times: dict[str, Any]) -> str:
    first, last = times["first"][:19], times["last"][:19]
    return f"{times['count']} times, {first} to {last} UTC,"


def _settings(options: Options) -> Settings:
    return read_settings(options.config, os.environ, options.overrides)


def _folder(settings: Settings) -> Path:
    if settings.orders.folder is None:
        raise ConfigurationError(["orders.folder: is not set, expected it or --folder"])
    return settings.orders.folder


def _read(options: Options) -> tuple[list[FoundOrder], dict[str, int]]:
    settings = _settings(options)
    if settings.orders.public_key is None:
        raise ConfigurationError(["orders.public_key: is not set, expected it or --public-key"])
    key = _do(read_public_key, settings.orders.public_key)
    found, problems = _do(read_orders, _folder(settings), key)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return found, _used(settings, found)


def _used(settings: Settings, found: list[FoundOrder]) -> dict[str, int]:
    """Return how many subjects were received under each order, as far as it is kept."""
    path = Path(settings.state)
    if settings.state == MEMORY or not path.is_file():
        return {}
    try:
        with read_only(path) as reading:
            tallies = {one.name: one for one in read_tallies(reading)}
            used = {}
            for one in found:
                name = tally_name(one.order.budget, [(Grouping.ORDER.value, one.order.id)])
                if name in tallies:
                    used[one.order.id] = _total(tallies[name])
    except StateError as error:
        raise ConfigurationError([str(error)]) from None
    except ValueError as error:
        raise ConfigurationError([f"state {path}: {error}; restore a copy"]) from None
    return used


def _total(tally: SavedTally) -> int:
    return count_subjects(tally.pages) + sum(amount for _, amount in tally.amounts)


def _state(one: FoundOrder) -> str:
    if one.revoked is not None:
        return "revoked"
    return "expired" if clock.wall() >= one.order.ends else "in force"


def _as_json(one: FoundOrder, used: dict[str, int]) -> dict[str, Any]:
    order = one.order
    dates = order.dates
    return {
        "order": order.id,
        "state": _state(one),
        "roles": sorted(order.roles),
        "used": used.get(order.id, 0),
        "subjects": order.subjects,
        "relations": sorted(map(str, order.relations)),
        "columns": sorted(map(str, order.columns)),
        "dates": None
        if dates is None
        else f"{dates.column} {dates.begin.isoformat()}..{dates.end.isoformat()}",
        "begins": _moment(order.begins),
        "ends": _moment(order.ends),
        "reason": order.reason,
        "by": order.by,
        "revoked_by": None if one.revoked is None else one.revoked.get("by", "not said"),
        "revoked_why": None if one.revoked is None else one.revoked.get("why", "not said"),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _split(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _write_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _do(work: Any, *arguments: Any, **named: Any) -> Any:
    try:
        return work(*arguments, **named)
    except OrderError as error:
        raise ConfigurationError([str(error)]) from None
