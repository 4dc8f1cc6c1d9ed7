"""``rankadaptor keys``: let people and workers in, and out again."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rankadaptor.commands.options import Json, Url, connect
from rankadaptor.rest.client import JSON
from rankadaptor.screen import emit, err, listing

app = typer.Typer(no_args_is_help=True, help="Issue, list and revoke API keys; needs an admin key.")


@app.command()
def issue(
    role: Annotated[str, typer.Argument(help="admin, member, viewer or worker.")],
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    project: Annotated[
        str | None,
        typer.Option(help="Where; * is everywhere, for admins and workers (your own, or default)."),
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="How long it lets in (until it is revoked).")
    ] = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Issue a key and print it, this once."""
    with connect(url) as client:
        issued = client.issue_key(role, name, project=project, days=days)
    if not json_:
        reach = f"role {issued['role']}, project {issued['project']}"
        err.print(f"key {issued['id']}, {reach}; keep it, nobody can show it again", style="dim")
    emit(json_, issued, lambda: Text(issued["key"], overflow="ignore", no_wrap=True))


@app.command("list")
def list_keys(url: Url = None, json_: Json = False) -> None:
    """List the keys, revoked ones included."""
    with connect(url) as client:
        found = list(client.api_keys())
    emit(json_, found, lambda: _table(found))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, not the key itself.")],
    url: Url = None,
    json_: Json = False,
) -> None:
    """Let a key in no more, and nobody who logged in with it."""
    with connect(url) as client:
        client.revoke_key(key)
    emit(json_, {"revoked": key}, lambda: Text(f"key {key} is revoked"))


def _table(keys: list[JSON]) -> Table:
    columns = ("id", "role", "project", "name", "worker", "last used", "ends")
    table = listing("keys", columns, ["name"])
    for key in keys:
        names = (Text(key[column]) for column in ("id", "role", "project", "name"))
        worker = Text(key["worker"] or "")
        table.add_row(*names, worker, _day(key["last_used_at"]), _end(key))
    return table


@app.command("join-token")
def issue_join_token(
    name: Annotated[str, typer.Argument(help="What for, for the list.")],
    project: Annotated[
        str | None,
        typer.Option(help="Of the workers; * is everywhere (your own, or default)."),
    ] = None,
    uses: Annotated[int, typer.Option(help="How many workers may join.")] = 1,
    hours: Annotated[float, typer.Option(help="How long.")] = 24.0,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Issue a token that workers exchange for keys of their own, and print it, this once."""
    with connect(url) as client:
        issued = client.issue_join_token(name, project=project, uses=uses, hours=hours)
    if not json_:
        terms = f"project {issued['project']}, good for {uses} until {issued['expires_at']}"
        err.print(f"join token {issued['id']}, {terms}", style="dim")
    emit(json_, issued, lambda: Text(issued["token"], overflow="ignore", no_wrap=True))


@app.command("join-tokens")
def list_join_tokens(url: Url = None, json_: Json = False) -> None:
    """List the join tokens, those that are good no more included."""
    with connect(url) as client:
        found = list(client.join_tokens())
    emit(json_, found, lambda: _tokens(found))


@app.command("revoke-join-token")
def revoke_join_token(
    token: Annotated[str, typer.Argument(metavar="ID", help="Id of the token, not itself.")],
    url: Url = None,
    json_: Json = False,
) -> None:
    """Let a join token make no more keys; those it made stay good."""
    with connect(url) as client:
        client.revoke_join_token(token)
    emit(json_, {"revoked": token}, lambda: Text(f"join token {token} is revoked"))


def _tokens(tokens: list[JSON]) -> Table:
    columns = ("id", "project", "name", "uses left", "ends")
    table = listing("join tokens", columns, ["name"])
    for token in tokens:
        names = (Text(token[column]) for column in ("id", "project", "name"))
        table.add_row(*names, str(token["uses_left"]), _end(token))
    return table


def _end(key: JSON) -> Text:
    if key["revoked_at"]:
        return Text(f"revoked {_day(key['revoked_at'])}", style="red")
    return Text(_day(key["expires_at"]))


def _day(at: str | None) -> str:
    return at[:10] if at else ""
