"""The verbs of ``vigie order`` and their options."""
# ruff: noqa: PLC0415 - `vigie --help` must not wait for what only one verb needs

# Annotations are read by typer when this module is imported, so they are not postponed here.
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.options import Options

order_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings; else ./vigie.yaml.")]
Folder = Annotated[str | None, typer.Option(metavar="FOLDER", help="Else orders.folder.")]
PublicKey = Annotated[
    str | None, typer.Option("--public-key", metavar="FILE", help="Else orders.public_key.")
]
State = Annotated[str | None, typer.Option(metavar="FILE", help="The state, for what was used.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER", show_default=False)]
Texts = list[str]


def _options(
    config: Path | None, folder: str | None, public_key: str | None = None, state: str | None = None
) -> Options:
    return Options(
        config, {"orders.folder": folder, "orders.public_key": public_key, "state": state}
    )


@order_app.command("keygen", help="Make a key that signs orders, and the one that checks them.")
def keygen_verb(
    *,
    private: Annotated[Path, typer.Option(metavar="FILE")] = Path("vigie-orders.key"),
    public: Annotated[Path, typer.Option(metavar="FILE")] = Path("vigie-orders.pub"),
) -> None:
    """Make a key that signs orders, and the one that checks them."""
    from proxy.cli.orders import make_order_keys

    raise typer.Exit(make_order_keys(private, public))


@order_app.command(
    "issue",
    short_help="Sign an order: who, what, how much, until when, why.",
    epilog="Example:\n\n\b\n  vigie order issue --key vigie-orders.key --role export_job"
    " --subjects 500000 \\\n    --relations lab.patient,lab.resultat"
    " --columns lab.patient.nir,lab.resultat.value \\\n"
    "    --dates lab.resultat.validated_at:2025-01-01..2026-01-01 --for 4h"
    ' \\\n    --reason "SI-DEP" --by "A. Martin"',
)
def issue_verb(
    *,
    role: Annotated[Texts, typer.Option(metavar="ROLE", help="Who; may be repeated.")],
    subjects: Annotated[int, typer.Option(min=1, metavar="N", help="How many patients at most.")],
    relations: Annotated[Texts, typer.Option(metavar="LIST", help="By schema.name, by commas.")],
    columns: Annotated[Texts, typer.Option(metavar="LIST", help="By schema.name.column.")],
    dates: Annotated[
        str | None, typer.Option(metavar="COLUMN:FROM..BEFORE", help="Which rows, by a date.")
    ] = None,
    lasts: Annotated[str, typer.Option("--for", metavar="SPAN", help="30min, 4h, 2d.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who answers for it.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The key that signs.")],
    folder: Folder = None,
    config: Config = None,
) -> None:
    """Sign an order and put it into the folder; Vigie takes it within seconds.

    A statement that its facts prove to be inside of it (relations, columns, dates) is judged by no
    rule and charged to the order alone. All else is judged and charged as ever.
    """
    from proxy.cli.orders import Wanted, issue_order

    wanted = Wanted(role, subjects, relations, columns, dates, lasts, reason, by)
    raise typer.Exit(issue_order(_options(config, folder), wanted, key))


@order_app.command("list")
def list_verb(
    *,
    folder: Folder = None,
    public_key: PublicKey = None,
    state: State = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List the orders with their state and what was used of them."""
    from proxy.cli.orders import list_orders

    options = _options(config, folder, public_key, state)
    raise typer.Exit(list_orders(options, as_json=as_json))


@order_app.command(
    "report",
    short_help="Tell what an order allowed, who used it, and what was refused.",
    epilog="Example:\n\n\b\n  vigie order report WO-20261125-0123abcd"
    " --audit /var/log/vigie/audit.jsonl",
)
def report_verb(
    order: OrderId,
    *,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The audit log; else audit.path.")
    ] = None,
    folder: Folder = None,
    public_key: PublicKey = None,
    state: State = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell what an order allowed, what was used, by whom and when, and how it ended.

    Its uses, and what its roles were refused while it was in force, are read from the audit log.
    """
    from proxy.cli.orders import report_order

    options = _options(config, folder, public_key, state)
    raise typer.Exit(report_order(options, order, audit, as_json=as_json))


@order_app.command("show")
def show_verb(
    order: OrderId,
    *,
    folder: Folder = None,
    public_key: PublicKey = None,
    state: State = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show one order in full, its state and what was used of it."""
    from proxy.cli.orders import show_order

    options = _options(config, folder, public_key, state)
    raise typer.Exit(show_order(options, order, as_json=as_json))


@order_app.command("revoke")
def revoke_verb(
    order: OrderId,
    *,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who revokes it.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why.")],
    folder: Folder = None,
    config: Config = None,
) -> None:
    """Revoke an order for good; it needs no key."""
    from proxy.cli.orders import revoke

    raise typer.Exit(revoke(_options(config, folder), order, by=by, why=why))
