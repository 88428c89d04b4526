"""`roundhouse hub …`: a Hub of one's own, and who may use it.

As in `flows.cli.app`, what does the work is imported inside the commands.
"""

# ruff: noqa: PLC0415 -- see above

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli import flags
from flows.cli.pages import page

hub_app = typer.Typer(
    help="A Hub of one's own, which the Hub's client uses by HF_ENDPOINT.", no_args_is_help=True
)

SERVE_EXAMPLES = page("""
[bold]Example[/bold]: roundhouse hub serve --root /srv/hub --port 8390

Then, wherever the Hub's client runs: export HF_ENDPOINT=http://127.0.0.1:8390 HF_TOKEN=... with a
token of [bold]roundhouse hub token[/bold].  Repositories are bare git repositories in the folder.
Listens on loopback; put TLS in front to let others in, since tokens travel with every request.
Stops on SIGTERM when it has finished its answers, and then exits with 0.
""")

TOKEN_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse hub token alice --org acme --root /srv/hub

roundhouse hub token ci --org acme --role read --root /srv/hub > ci.token

roundhouse hub token alice --revoke --root /srv/hub

Works while the Hub runs.  Only the token goes to standard output.
""")

Root = Annotated[Path, typer.Option(help="Folder of everything that the Hub keeps.")]
HERE = Path(".roundhouse") / "hub"


@hub_app.command(epilog=SERVE_EXAMPLES)
def serve(
    *,
    root: Root = HERE,
    port: Annotated[int, typer.Option(help="0 for any that is free.")] = 8390,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback let others in.")
    ] = "127.0.0.1",
    public_url: Annotated[
        str | None, typer.Option(help="What clients call it, if a proxy stands before it.")
    ] = None,
    xet: Annotated[
        bool | None,
        typer.Option(
            help="Let clients on this machine write straight into the folder, the client's "
            "default way.  Without the flag: where the Hub listens on loopback.",
        ),
    ] = None,
    verbose: flags.Verbose = False,
) -> None:
    """Serve a Hub until SIGTERM or Ctrl-C."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import hubbing

        return hubbing.serve(hubbing.Served(root, host, port, public_url, xet))

    raise typer.Exit(finish(command, verbose=verbose))


@hub_app.command(epilog=TOKEN_EXAMPLES)
def token(
    user: Annotated[str, typer.Argument(help="Whose it is, and whose namespace it opens.")],
    *,
    org: Annotated[
        list[str] | None,
        typer.Option(help="A namespace that it opens as well; again for more, '*' for all."),
    ] = None,
    role: Annotated[Literal["read", "write"], typer.Option(help="What it may do there.")] = "write",
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Make all tokens of the user worthless instead.")
    ] = False,
    root: Root = HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Issue a token and print it, once: the Hub keeps only its SHA-256."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import hubbing

        if revoke:
            return hubbing.revoke(root, user)
        return hubbing.issue(root, user, org or (), role)

    raise typer.Exit(finish(command, verbose=verbose))
