"""The verbs and their options. A verb's own module is imported when it is called, not before."""
# ruff: noqa: PLC0415 - `vigie --help` must not wait for what only one verb needs

# Annotations are read by typer when this module is imported, so they are not postponed here.
from pathlib import Path
from typing import Annotated, Any

import typer

import proxy
from proxy.cli.options import Options
from proxy.cli.order_app import order_app
from proxy.cli.schema_app import schema_app
from proxy.terms.finding import Mode

app = typer.Typer(
    name="vigie",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # examples stay as they are written
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _example(*lines: str) -> str:
    """Return the end of a verb's help. A backspace keeps the lines after it as they are."""
    return "\n".join(["Example:\n\n\b", *(f"  {line}" for line in lines)])


Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings; else VIGIE_CONFIG, else ./vigie.yaml if there."),
]
Site = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="The site: schema map, lists, budgets.")
]
Rules = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Rules instead of those that are shipped.")
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document.")]


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer's form
    if value:
        typer.echo(f"vigie {proxy.__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="Exit status: 0 done, 1 something is wrong, 2 the command was not understood.",
)
def start(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Write the version."
        ),
    ] = False,
) -> None:
    """Bound how many patients can leave a laboratory's database."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@app.command(
    "run",
    epilog=_example(
        "vigie run --listen 127.0.0.1:6432 --upstream 127.0.0.1:5432 --site rules/sites/lab-demo"
    ),
)
def run_verb(
    *,
    config: Config = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Where applications connect; may be repeated."),
    ] = None,
    upstream: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The database.")] = None,
    site: Site = None,
    rules: Rules = None,
    state: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where usage is kept, or memory: in the process."),
    ] = None,
    http: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where metrics and health are served.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="observe records verdicts, and never refuses or cuts.")
    ] = None,
    audit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Audit records; else standard output.")
    ] = None,
) -> None:
    """Stand between applications and the database.

    Options win over the environment (VIGIE_UPSTREAM, ...), and that over the file of settings.
    """
    from proxy.cli.run import run_proxy

    overrides: dict[str, Any] = {
        "listen": tuple(listen) if listen else None,
        "upstream": upstream,
        "site": site,
        "rules": rules,
        "state": state,
        "http": http,
        "mode": mode,
        "audit.path": audit,
    }
    raise typer.Exit(run_proxy(Options(config, overrides)))


@app.command(
    "demo",
    short_help="Show a laboratory, its work and attacks on it.",
    epilog=_example("vigie demo --patients 20000 --keep"),
)
def demo_verb(
    *,
    patients: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How many patients the laboratory has; else 491840."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave all running until Ctrl-C.")] = False,
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of the invented data.")] = None,
    pg: Annotated[
        str | None,
        typer.Option(metavar="PG", help="PostgreSQL to use: 16, wheel, or a folder of programs."),
    ] = None,
) -> None:
    """Show a laboratory, its work and the attacks on it, with and without Vigie."""
    from proxy.cli.demo import run_demonstration

    status = run_demonstration(patients=patients, seed=seed, keep=keep, as_json=as_json, pg=pg)
    raise typer.Exit(status)


@app.command(
    "check",
    short_help="Tell what is in force, or all that is wrong.",
    epilog=_example("vigie check --site rules/sites/lab-demo"),
)
def check_verb(
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Compare the schema map with this database, too."),
    ] = None,
    config: Config = None,
    site: Site = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Read settings and rules; tell what is in force, or every problem at once.

    A problem is one line on standard error: file:line:column: what, and what was expected.
    Exit status: 1 with a problem, 3 if the database of --against does not fit the schema map.
    """
    from proxy.cli.check import check_policy

    options = Options(config, {"site": site, "rules": rules})
    raise typer.Exit(check_policy(options, as_json=as_json, against=against))


@app.command(
    "doctor",
    short_help="Tell what of a deployment is not as it should be.",
    epilog=_example("vigie doctor --against postgresql://vigie_doctor@127.0.0.1:5432/lab"),
)
def doctor_verb(
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The database itself, by a role that only reads."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning is a failure.")] = False,
    config: Config = None,
    site: Site = None,
    rules: Rules = None,
    state: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where usage is kept, or memory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at a deployment: files and their rights, TLS, state, canaries, and the database.

    Each line: ok, warn or fail, what, and what to do next. It changes nothing. Exit status: 1 if
    something fails.
    """
    from proxy.cli.doctor import examine

    options = Options(config, {"site": site, "rules": rules, "state": state})
    raise typer.Exit(examine(options, against=against, as_json=as_json, strict=strict))


@app.command(
    "explain",
    short_help="Tell what Vigie makes of SQL, and why.",
    epilog=_example('vigie explain "select * from lab.patient" --role dba'),
)
def explain_verb(
    sql: Annotated[
        str,
        typer.Argument(
            metavar="SQL",
            show_default=False,
            help="One statement or several; - for standard input.",
        ),
    ],
    *,
    role: Annotated[str, typer.Option(metavar="ROLE", help="Role of the session.")] = "app",
    database: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Database of the session; else named as the role."),
    ] = None,
    end_user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For whom it acts, if the site believes the role; else as the SQL's comment says.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Ask this database for its catalog and its plan; nothing is run."
        ),
    ] = None,
    config: Config = None,
    site: Site = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Tell what Vigie makes of SQL: facts, score, the rules that hold and why, and the verdict.

    No database is asked but with --against. Exit status: 0 if all of it is allowed or flagged,
    3 if a statement would be refused, 1 if settings, rules or the database are wrong.
    """
    from proxy.cli.explain import explain_sql

    options = Options(config, {"site": site, "rules": rules})
    status = explain_sql(
        sql,
        options,
        role=role,
        database=database,
        as_json=as_json,
        against=against,
        end_user=end_user,
    )
    raise typer.Exit(status)


canary = typer.Typer(name="canary", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(canary, short_help="Plant subjects that nobody has a reason to read.")
Url = Annotated[
    str, typer.Option("--database", metavar="URL", help="postgresql://role@host:port/name")
]
File = Annotated[Path, typer.Option("--file", metavar="FILE", help="The file of the canaries.")]


@canary.callback()
def canary_verbs() -> None:
    """Plant subjects that no work ever touches; whatever of one is about to leave is blocked."""


@canary.command(
    "plant",
    epilog=_example(
        "vigie canary plant --database postgresql://dba@127.0.0.1:5432/lab --file canaries.json"
    ),
)
def canary_plant_verb(
    *,
    database: Url,
    file: File,
    count: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many.")] = 3,
    relation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Else that with the most identities.")
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="For a column Vigie cannot fill; repeatable."),
    ] = None,
    config: Config = None,
    site: Site = None,
) -> None:
    """Insert invented patients and write their marks to a file that only its owner may read.

    Ask the database itself, not through Vigie. Then set `canaries` to the file.
    """
    from proxy.cli.canary import plant

    given = dict(one.split("=", 1) for one in value or [] if "=" in one)
    if len(given) != len(value or []):
        raise typer.BadParameter("expected COLUMN=VALUE, each column once", param_hint="--value")
    options = Options(config, {"site": site})
    status = plant(options, database, file, relation=relation, count=count, values=given)
    raise typer.Exit(status)


@canary.command("list", epilog=_example("vigie canary list --file canaries.json"))
def canary_list_verb(*, file: File, as_json: Json = False) -> None:
    """Tell which canaries there are, without their marks."""
    from proxy.cli.canary import list_canaries

    raise typer.Exit(list_canaries(file, as_json=as_json))


@canary.command(
    "verify",
    epilog=_example(
        "vigie canary verify --database postgresql://dba@127.0.0.1:5432/lab --file canaries.json"
    ),
)
def canary_verify_verb(*, database: Url, file: File, as_json: Json = False) -> None:
    """See that each canary still stands where it was planted, unchanged; else exit status 1."""
    from proxy.cli.canary import verify

    raise typer.Exit(verify(database, file, as_json=as_json))


@app.command(
    "budgets",
    short_help="Tell what is used of each budget, and when it comes back.",
    epilog=_example("vigie budgets --role secretary"),
)
def budgets_verb(
    *,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Of this role only.")] = None,
    state: Annotated[str | None, typer.Option(metavar="FILE", help="The state to read.")] = None,
    config: Config = None,
    site: Site = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Tell what is used of each budget, by whom, and when some of it comes back.

    Reads the state file, beside the Vigie that writes it; what is newer than a second may be
    missing.
    """
    from proxy.cli.budgets import show_budgets

    options = Options(config, {"state": state, "site": site, "rules": rules})
    raise typer.Exit(show_budgets(options, role=role, as_json=as_json))


app.add_typer(order_app, name="order", help="Announced exports: signed, counted, ending.")


app.add_typer(schema_app, short_help="Write the JSON Schema of rule files, or draft a schema map.")
