"""`roundhouse store …`: whether an artifact store is sound, and what it keeps for nobody.

As in `flows.cli.app`, what does the work is imported inside the commands.
"""

# ruff: noqa: PLC0415 -- see above

from typing import Annotated, Literal

import typer

from flows.cli import flags
from flows.cli.pages import page

store_app = typer.Typer(
    help="The artifact store: a folder or a bucket, checked and cleaned.", no_args_is_help=True
)

CHECK_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse store check   (the folder store of the workspace)

roundhouse store check --recipe my-recipe.yaml

roundhouse store check --store s3://bucket/roundhouse --endpoint https://s3.example.com

Reads everything.  Exits with 0 if all that is on record can be had, and with 4 if an object is
corrupt or missing: what to do about it is said then.
""")

GC_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse store gc --older-than 14 --dry-run

roundhouse store gc --older-than 14 --store s3://bucket/roundhouse

Removes objects that no manifest names, uploads that nobody completed, temporary files, and this
machine's copies that nobody has used for so long.  It never takes what a manifest names.  Choose
more days than the longest run takes: work under way has no manifest yet.
""")

Recipe = Annotated[
    str | None, typer.Option(help="Take the store of this recipe: a file, or a packaged name.")
]
Uri = Annotated[
    str | None,
    typer.Option("--store", help="A folder, or s3://bucket/prefix; default: the workspace's own."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(help="Address of an S3-compatible service; default: AWS_ENDPOINT_URL."),
]
Region = Annotated[str | None, typer.Option(help="Region of the bucket; default: AWS_REGION.")]
Checksums = Annotated[
    Literal["when_supported", "when_required"],
    typer.Option(help="when_required for services that know no checksums of requests."),
]
Days = Annotated[
    float, typer.Option("--older-than", metavar="DAYS", help="At least 1.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")]


@store_app.command(epilog=CHECK_EXAMPLES)
def check(  # noqa: PLR0913 -- a command line is its flags
    *,
    recipe: Recipe = None,
    store: Uri = None,
    endpoint: Endpoint = None,
    region: Region = None,
    checksums: Checksums = "when_supported",
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Read every object of a store, and name what is corrupt, missing or recorded nowhere."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import storing

        asked = storing.Asked(recipe, store, endpoint, region, checksums)
        return storing.check(storing.place_of(asked, workspace))

    raise typer.Exit(finish(command, verbose=verbose))


@store_app.command(epilog=GC_EXAMPLES)
def gc(  # noqa: PLR0913 -- as above
    *,
    older_than: Days,
    dry_run: DryRun = False,
    recipe: Recipe = None,
    store: Uri = None,
    endpoint: Endpoint = None,
    region: Region = None,
    checksums: Checksums = "when_supported",
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Remove what a store keeps for nobody."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import storing

        asked = storing.Asked(recipe, store, endpoint, region, checksums)
        return storing.clean(storing.place_of(asked, workspace), older_than, dry_run=dry_run)

    raise typer.Exit(finish(command, verbose=verbose))
