"""``vigie schema``: the JSON Schema of rule files, and a draft of a site's schema map."""
# Annotations are read by typer when this module is imported, so they are not postponed here.

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

schema_app: Final = typer.Typer(name="schema", rich_markup_mode=None)
_EXAMPLE: Final = (
    "Example: vigie schema draft --against postgresql://dba@127.0.0.1:5432/lab > schema.yaml"
)


@schema_app.callback(
    invoke_without_command=True, epilog="Example:\n\n\b\n  vigie schema > rules/schema.json"
)
def schema_verb(context: typer.Context) -> None:
    """Write the JSON Schema of rule files, by which editors complete and check them."""
    if context.invoked_subcommand is not None:
        return
    from proxy.policy.schema import json_schema  # noqa: PLC0415 - only this verb needs it

    sys.stdout.write(json.dumps(json_schema(), indent=2, sort_keys=True) + "\n")


@schema_app.command("draft", epilog=_EXAMPLE)
def draft_verb(
    *,
    against: Annotated[
        str, typer.Option(metavar="URL", help="The database, itself and not through Vigie.")
    ],
    subject: Annotated[
        str, typer.Option(metavar="WORD", help="What a person is called in key spaces.")
    ] = "patient",
    seconds: Annotated[
        float, typer.Option(min=0, max=3600, metavar="N", help="For all samples together.")
    ] = 30.0,
    samples: Annotated[
        bool, typer.Option(help="Look at values; else at names, types and keys only.")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="A new file; else standard output."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for scripts.")] = False,
) -> None:
    """Propose a schema map from a live database, as YAML to review.

    Names, types, foreign keys, the queries of views, and what a few values look like; each column
    with its reason and how sure it is. Reads only, and no value is ever written.
    """
    from proxy.cli.schema_draft import draft_schema  # noqa: PLC0415 - only this verb needs it

    status = draft_schema(
        against, subject=subject, seconds=seconds, samples=samples, output=output, as_json=as_json
    )
    raise typer.Exit(status)
