"""Canaries end to end: planted by the verb, and blocked in every form before they leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.cli import main
from proxy.demo.vigie_process import SITE
from proxy.settings.canary_file import read_canary_file
from proxy.wire.encode import query
from tests.integration import bare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.content.canaries import Canary
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration

ROLE = "biologist"


def url(lab: Lab, role: str = "postgres") -> str:
    return f"postgresql://{role}:{lab.passwords[role]}@{lab.host}:{lab.port}/{lab.database}"


def vigie_command(*arguments: str) -> int:
    return main(list(arguments))


@pytest.fixture(scope="module")
def planted(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Canary]]:
    """Two canaries in the laboratory, and one of them."""
    path = tmp_path_factory.mktemp("canaries") / "canaries.json"
    options = ["--database", url(lab), "--file", str(path), "--site", str(SITE), "--count", "2"]
    assert vigie_command("canary", "plant", *options) == 0
    canaries = read_canary_file(path)
    yield path, canaries[0]
    with lab.connect("postgres") as connection:
        keys = [canary.key for canary in canaries]
        connection.execute("delete from lab.patient where id::text = any(%s)", [keys])


@pytest.fixture(scope="module")
def watching(module_vigie: StartVigie, planted: tuple[Path, Canary]) -> VigieProcess:
    """A Vigie that knows them."""
    return module_vigie(environment={"VIGIE_CANARIES": str(planted[0])})


FORMS = (
    "select * from lab.patient where id = {key}",
    "select last_name from lab.patient where id = {key}",
    "select nir from lab.patient where id = {key}",
    "select id from lab.patient where id = {key}",
    "select upper(email) from lab.patient where id = {key}",
    "select reverse(nir) from lab.patient where id = {key}",
    "select md5(nir) from lab.patient where id = {key}",
    "select encode(nir::bytea, 'hex') from lab.patient where id = {key}",
    "select encode(convert_to('a' || nir, 'UTF8'), 'base64') from lab.patient where id = {key}",
    "select row_to_json(p) from lab.patient p where id = {key}",
    "select nir from lab.patient order by id desc limit 20",
    "select cast(last_name as int) from lab.patient where id = {key}",
    "copy (select nir from lab.patient where id = {key}) to stdout",
    "copy (select id from lab.patient where id = {key}) to stdout (format binary)",
)


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_canary_leaves(
    form: str, lab: Lab, planted: tuple[Path, Canary], watching: VigieProcess
) -> None:
    """It is refused by the budget of canaries; of its marks nothing is in the bytes."""
    canary = planted[1]

    with bare.logged_in(lab, ROLE, watching.port) as wire:
        wire.send(query(form.format(key=canary.key).encode()))
        answer = wire.receive_to()

    said = bare.error(answer)
    assert said["C"] == "53400"
    assert "EX209" in said["D"]
    assert not any(mark.encode() in body for _, body in answer for mark in canary.marks)
    assert {tag for tag, _ in answer} <= {"T", "H", "D", "d", "E", "Z"}


def test_binary_results_are_looked_at_as_well(
    lab: Lab, planted: tuple[Path, Canary], watching: VigieProcess
) -> None:
    """The key is eight bytes there."""
    with (
        lab.connect(ROLE, watching.port) as connection,
        pytest.raises(psycopg.Error, match="canary"),
    ):
        connection.cursor(binary=True).execute(
            "select id from lab.patient where id = %s", [int(planted[1].key)]
        )


def test_a_statement_that_is_known_to_be_harmless_is_looked_at_as_well(
    lab: Lab, planted: tuple[Path, Canary], watching: VigieProcess
) -> None:
    """What passes without being judged again is searched: somebody may have copied a name."""
    mark = planted[1].marks[1]
    text = b"select full_name from lab.app_user where id = %d"
    with lab.connect("postgres") as superuser, lab.connect(ROLE, watching.port) as connection:
        (name,) = superuser.execute(text % 1).fetchone() or ("",)
        superuser.execute("update lab.app_user set full_name = %s where id = 1", [mark])
        for _ in range(4):
            connection.execute(text % 2)
        try:
            with pytest.raises(psycopg.Error, match="canary"):
                connection.execute(text % 1)
        finally:
            superuser.execute("update lab.app_user set full_name = %s where id = 1", [name])


def test_work_on_others_is_not_touched(lab: Lab, watching: VigieProcess) -> None:
    """The finding is critical, so it must never be wrong."""
    with lab.connect(ROLE, watching.port) as connection:
        rows = connection.execute("select * from lab.patient where id between 1 and 30").fetchall()

    assert len(rows) == 30


def test_the_finding_is_critical_and_names_no_patient(
    lab: Lab, planted: tuple[Path, Canary], watching: VigieProcess
) -> None:
    """The audit record says who asked; the marks stay out of it."""
    with lab.connect(ROLE, watching.port) as connection, pytest.raises(psycopg.Error):
        connection.execute(f"select * from lab.patient where id = {planted[1].key}".encode())

    text = watching.audit.read_text()
    (last,) = [json.loads(line) for line in text.splitlines()][-1:]

    assert [(f["rule"], f["severity"]) for f in last["findings"]] == [("EX209", "critical")]
    assert last["principal"]["role"] == ROLE
    assert not any(mark in text for mark in planted[1].marks)


def test_the_backup_reads_them(lab: Lab, watching: VigieProcess) -> None:
    """A backup reads everybody; its own budget of canaries has no limit."""
    with lab.connect("backup", watching.port) as connection:
        count = len(connection.execute("select nir from lab.patient").fetchall())

    assert count == lab.patients + 2


def test_verify_tells_a_canary_that_is_gone(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planted, verified, changed, told; a second planting keeps the first."""
    path = tmp_path / "c.json"
    options = ["--database", url(lab), "--file", str(path)]
    plant = ["canary", "plant", *options, "--site", str(SITE), "--count", "1"]
    assert (vigie_command(*plant), vigie_command(*plant)) == (0, 0)
    first, second = read_canary_file(path)

    assert vigie_command("canary", "verify", *options) == 0
    with lab.connect("postgres") as connection:
        connection.execute("delete from lab.patient where id = %s", [int(first.key)])
        connection.execute("update lab.patient set phone = null where id = %s", [int(second.key)])
    capsys.readouterr()
    status = vigie_command("canary", "verify", *options, "--json")
    told = json.loads(capsys.readouterr().out)
    with lab.connect("postgres") as connection:
        connection.execute("delete from lab.patient where id = %s", [int(second.key)])

    assert status == 1
    assert told["problems"] == [
        "canary-1: no row in lab.patient; plant another one",
        "canary-2: its row in lab.patient was changed",
    ]
    assert vigie_command("canary", "list", "--file", str(path)) == 0
    assert not any(mark in capsys.readouterr().out for mark in first.marks)
