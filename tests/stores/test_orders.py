"""Signed orders in a folder: what is not signed, damaged or revoked is not in force."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Final

import pytest

from proxy.policy.orders import read_order
from proxy.stores.orders import (
    OrderError,
    make_keys,
    read_orders,
    read_public_key,
    revoke_order,
    sign_order,
)
from tests.policy.test_orders import DATA

if TYPE_CHECKING:
    from pathlib import Path

ORDER: Final = read_order(json.dumps(DATA))


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "k.key", tmp_path / "k.pub"
    make_keys(private, public)
    return private, public


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "orders"
    found.mkdir()
    return found


def test_a_signed_order_is_found(keys: tuple[Path, Path], folder: Path) -> None:
    """As it was made; the key that signs is its owner's alone."""
    sign_order(ORDER, keys[0], folder)

    found, problems = read_orders(folder, read_public_key(keys[1]))
    assert ([one.order for one in found], problems) == ([ORDER], [])
    assert found[0].revoked is None
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600


def test_nobody_changes_a_signed_order(keys: tuple[Path, Path], folder: Path) -> None:
    """Not a patient more, nor a copy under another name, nor what is no order at all."""
    path = sign_order(ORDER, keys[0], folder)
    document = json.loads(path.read_text())
    more = document | {"order": document["order"].replace("5000", "9000", 1)}
    path.write_text(json.dumps(more))
    (folder / "WO-20261125-99999999.order.json").write_text(json.dumps(document))
    (folder / "WO-20261125-00000000.order.json").write_text("{}")

    found, problems = read_orders(folder, read_public_key(keys[1]))
    assert found == []
    assert [one.partition(".json: ")[2].split(":")[0] for one in problems] == [
        "is no order",
        "its signature is not of this key; it is not in force",
        "holds order WO-20261125-0123abcd, expected it under its own name",
    ]


def test_an_order_of_another_key_is_none(keys: tuple[Path, Path], folder: Path) -> None:
    """Whoever has the folder has not the key."""
    make_keys(folder / "o.key", folder / "o.pub")
    sign_order(ORDER, folder / "o.key", folder)

    found, problems = read_orders(folder, read_public_key(keys[1]))
    assert found == []
    assert "its signature is not of this key" in problems[0]


def test_a_revoked_order_is_said_to_be(keys: tuple[Path, Path], folder: Path) -> None:
    """By whom and why; whatever the file holds, the order is revoked."""
    sign_order(ORDER, keys[0], folder)
    revoke_order(ORDER.id, folder, by="B", why="done")
    key = read_public_key(keys[1])

    assert read_orders(folder, key)[0][0].revoked == {"order": ORDER.id, "by": "B", "why": "done"}
    (folder / f"{ORDER.id}.revoked.json").write_text("x")
    assert read_orders(folder, key)[0][0].revoked == {}
    with pytest.raises(OrderError, match="has no order"):
        revoke_order("WO-20261125-99999999", folder, by="B", why="done")


def test_keys_are_kept_to_themselves(keys: tuple[Path, Path], folder: Path) -> None:
    """A key that others can read signs nothing; none is written over."""
    with pytest.raises(OrderError, match="is there already"):
        make_keys(*keys)
    for wrong in (folder / "none", keys[0]):
        with pytest.raises(OrderError, match="is no public key"):
            read_public_key(wrong)
    keys[0].chmod(0o640)
    with pytest.raises(OrderError, match="has mode 0640, expected 0600"):
        sign_order(ORDER, keys[0], folder)
