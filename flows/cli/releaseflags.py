"""The flags of the commands that release by tag: what each is called, takes and means."""

from typing import Annotated

import typer

ENVIRONMENT = "environment"

RepoId = Annotated[str, typer.Argument(metavar="REPO", help="A repository, as owner/name.")]
TaggedRevision = Annotated[
    str, typer.Argument(metavar="REV", help="A branch, a tag, or 7 to 40 digits of a commit.")
]
TagName = Annotated[str, typer.Argument(metavar="NAME", help="The tag to set.")]
AskingTag = Annotated[str, typer.Option("--tag", help="The tag to release, as in release/v1.2.0.")]
TaggedRepo = Annotated[
    str | None,
    typer.Option("--repo", help="The repository of the tag, where the recipe watches several."),
]
BackTo = Annotated[str, typer.Option("--to", help="The release to go back to, as in v1.0.0.")]
Branch = Annotated[str, typer.Option(help="The branch that goes back.")]
HubEndpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", help="Address of the Hub; by default HF_ENDPOINT, or else huggingface.co."
    ),
]
TokenSource = Annotated[
    str,
    typer.Option(
        "--token-from",
        help="Where the token is: environment, block:NAME or file:PATH.  Never the token itself.",
    ),
]
Recipes = Annotated[
    list[str], typer.Argument(help="Recipe files, or names of packaged recipes, that watch tags.")
]
ListenHost = Annotated[str, typer.Option("--host", help="Where notices are taken.")]
ListenPort = Annotated[int, typer.Option("--port", help="Its port; 0: any that is free.")]
