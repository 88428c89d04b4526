"""The commands that release by tag; what they do is in `flows.cli.releasing`.

As in `flows.cli.app`, that is imported inside the commands.
"""

# ruff: noqa: PLC0415 -- see above

import typer

from flows.cli import flags, pages, releaseflags
from flows.cli.session import Session
from flows.importing import without_collecting

release_app = typer.Typer()


@release_app.command(epilog=pages.TAG_EXAMPLES)
def tag(
    repo: releaseflags.RepoId,
    revision: releaseflags.TaggedRevision,
    name: releaseflags.TagName,
    *,
    endpoint: releaseflags.HubEndpoint = None,
    token_from: releaseflags.TokenSource = releaseflags.ENVIRONMENT,
    verbose: flags.Verbose = False,
) -> None:
    """Set a tag on a revision of a repository; it never moves."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import releasing

        return releasing.tag(repo, revision, name, releasing.HubAccess(endpoint, token_from))

    raise typer.Exit(finish(command, verbose=verbose))


@release_app.command(epilog=pages.RELEASE_EXAMPLES)
def release(  # noqa: PLR0913 -- a command line is its flags
    recipe: flags.Recipe,
    *,
    tag: releaseflags.AskingTag,
    repo: releaseflags.TaggedRepo = None,
    approve_hold: flags.ApproveHold = False,
    workspace: flags.Workspace = flags.HERE,
    keep_server: flags.KeepServer = True,
    verbose: flags.Verbose = False,
) -> None:
    """Release what a tag names, as if it had just been set."""
    from flows.cli.exits import Exit, finish

    session = Session(workspace, keep_server, verbose, approve_hold)

    def command() -> Exit:
        with without_collecting():
            from flows.cli import releasing

        return releasing.release(releasing.Asked(recipe, tag, repo), session)

    raise typer.Exit(finish(command, verbose=verbose, after_interrupt=session.after_interrupt))


@release_app.command(epilog=pages.ROLLBACK_EXAMPLES)
def rollback(
    repo: releaseflags.RepoId,
    *,
    to: releaseflags.BackTo,
    branch: releaseflags.Branch = "main",
    endpoint: releaseflags.HubEndpoint = None,
    token_from: releaseflags.TokenSource = releaseflags.ENVIRONMENT,
    verbose: flags.Verbose = False,
) -> None:
    """Make a repository what it was at an earlier release."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import releasing

        return releasing.rollback(repo, to, releasing.HubAccess(endpoint, token_from), branch)

    raise typer.Exit(finish(command, verbose=verbose))


@release_app.command(epilog=pages.LISTEN_EXAMPLES)
def listen(
    recipes: releaseflags.Recipes,
    *,
    host: releaseflags.ListenHost = "127.0.0.1",
    port: releaseflags.ListenPort = 8450,
    workspace: flags.Workspace = flags.HERE,
    keep_server: flags.KeepServer = True,
    verbose: flags.Verbose = False,
) -> None:
    """Wait for tags, and release what they ask for, until told to stop."""
    from flows.cli.exits import Exit, finish

    session = Session(workspace, keep_server, verbose)

    def command() -> Exit:
        with without_collecting():
            from flows.cli import releasing
        from flows.listening import Address

        return releasing.listen(recipes, Address(host, port), session)

    raise typer.Exit(finish(command, verbose=verbose, after_interrupt=session.after_interrupt))
