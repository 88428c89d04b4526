"""The flags of the commands: what each is called, takes and means."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.pages import DATA, HOW, RUNNING, WHAT
from infra.evaluation.rules import RULES


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- typer's form of a callback
    if wanted:
        typer.echo(f"roundhouse {version('roundhouse')}")
        raise typer.Exit


HERE = Path(".roundhouse")
Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]

Model = Annotated[
    str,
    typer.Option(
        help="Folder, Hub id, s3://bucket/prefix, or packaged:demo.", rich_help_panel=WHAT
    ),
]
Revision = Annotated[
    str | None, typer.Option(help="Hub: branch, tag or commit.", rich_help_panel=WHAT)
]
OutputDir = Annotated[
    Path,
    typer.Option(
        help="Folder that gets auto_round/ and auto_gptq/.  Nothing is overwritten.",
        rich_help_panel=WHAT,
    ),
]
Formats = Annotated[
    str, typer.Option("--format", help="Formats, with commas between.", rich_help_panel=WHAT)
]

Calibration = Annotated[
    str | None,
    typer.Option(
        help="Samples to learn from: pile, llava, a file or folder (.jsonl, .json, .parquet, "
        ".txt), or a Hub id.  Rows with `conversations` are image+text, others plain text.",
        rich_help_panel=DATA,
    ),
]
Images = Annotated[
    str | None,
    typer.Option(
        help="Folder of the pictures of image+text rows; by default images/ beside the rows.",
        rich_help_panel=DATA,
    ),
]
Nsamples = Annotated[
    int, typer.Option("--nsamples", "--nsample", help="Samples, exactly.", rich_help_panel=DATA)
]
Seqlen = Annotated[
    int,
    typer.Option(
        help="Tokens a sample: exactly so many for text, at most for image+text.",
        rich_help_panel=DATA,
    ),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        help="Text that is not learned from, for perplexity and KL against the 16-bit model.",
        rich_help_panel=DATA,
    ),
]
HeldOutNsamples = Annotated[
    int, typer.Option(help="Samples of the held-out text, exactly.", rich_help_panel=DATA)
]

Bits = Annotated[int, typer.Option(help="Bits a weight: 2, 3, 4 or 8.", rich_help_panel=HOW)]
GroupSize = Annotated[
    int,
    typer.Option(
        help="Weights that share a scale: 32, 64, 128; -1: a whole row.", rich_help_panel=HOW
    ),
]
Sym = Annotated[
    bool, typer.Option("--sym/--asym", help="Symmetric grid, or not.", rich_help_panel=HOW)
]
Iters = Annotated[
    int,
    typer.Option(
        help="Steps of sign descent a block; 0: round to nearest, without samples.",
        rich_help_panel=HOW,
    ),
]
BatchSize = Annotated[int, typer.Option(help="Samples a step.", rich_help_panel=HOW)]
Lr = Annotated[
    float | None,
    typer.Option(help="First step length, in codes.", show_default="1/iters", rich_help_panel=HOW),
]
Seed = Annotated[int, typer.Option(help="Order of samples and batches.", rich_help_panel=HOW)]
Segments = Annotated[
    int,
    typer.Option(help="Independent runs of blocks; 1: the sequential method.", rich_help_panel=HOW),
]

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=RUNNING)]
Dtype = Annotated[
    str,
    typer.Option(
        help="Precision of the forward pass: auto, float32 or bfloat16.", rich_help_panel=RUNNING
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads.", show_default="torch decides", rich_help_panel=RUNNING),
]
Workspace = Annotated[
    Path,
    typer.Option(
        envvar="ROUNDHOUSE_WORKSPACE",
        help="Folder of the artifact store, where finished blocks are kept, and of the server.",
        rich_help_panel=RUNNING,
    ),
]
KeepServer = Annotated[
    bool,
    typer.Option(
        "--keep-server/--no-keep-server",
        help="Leave the Prefect server running, with the page of the run, or stop it at the end.  "
        "One that PREFECT_API_URL or a Prefect profile names is used as it is, and never stopped.",
        rich_help_panel=RUNNING,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", help="Print Prefect's log and tracebacks.", rich_help_panel=RUNNING),
]

Recipe = Annotated[str, typer.Argument(help="A YAML file, or the name of a packaged recipe.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value; may be given again.  Values are YAML; an item of a list is named "
        "by its number or its name, as in calibration.pile.nsamples=64.",
    ),
]
Folder = Annotated[Path, typer.Argument(help="A checkpoint's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
Digests = Annotated[
    bool,
    typer.Option("--digests/--no-digests", help="Read every byte to compare it with SHA256SUMS."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Remove what an earlier demo wrote and start over.")
]
Stop = Annotated[bool, typer.Option("--stop", help="Stop the workspace's servers instead.")]

BenchmarkKind = Annotated[
    Literal["mcq", "yes_no", "vqa"],
    typer.Option(help="What the questions are: multiple choice, yes or no, or open."),
]
BenchmarkFile = Annotated[Path, typer.Option(help="The table, a TSV file in VLMEvalKit's columns.")]
Predictions = Annotated[
    Path, typer.Option(help='The answers: one {"index": …, "prediction": "…"} a line, one a row.')
]
Rules = Annotated[
    str, typer.Option(help=f"How answers are read and counted: {' or '.join(RULES)}.")
]
Circular = Annotated[
    bool | None,
    typer.Option(
        "--circular/--no-circular",
        help="Multiple choice: a question is right only if all its rotations are.",
        show_default="as the benchmark is known for, or the table has rotations",
    ),
]
ScoresFile = Annotated[
    Path | None, typer.Option("--json", help="Also write every row and number to this file.")
]

ApproveHold = Annotated[
    bool,
    typer.Option(
        "--approve-hold",
        help="Go on where the gate is not sure: you have read the numbers and decided so.",
        rich_help_panel=RUNNING,
    ),
]
Checkpoints = Annotated[
    list[str], typer.Argument(help="Exported folders, or repositories on the Hub.")
]
BenchmarkFolder = Annotated[
    str,
    typer.Option(
        help="Folder of TSV files, or s3://bucket/prefix; a benchmarks.yaml in it describes those "
        "that are not known.",
        rich_help_panel=WHAT,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        help="The 16-bit model: a folder, a Hub id, s3://bucket/prefix, or packaged:demo.  Without "
        "it, scores alone.",
        rich_help_panel=WHAT,
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="Benchmarks, with commas between.",
        show_default="all that the folder has",
        rich_help_panel=WHAT,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="Only the first so many questions of each: a quick look.", rich_help_panel=WHAT
    ),
]
EvaluationFile = Annotated[
    Path | None,
    typer.Option("--json", help="Also write every answer and number to this file."),
]
Spreadsheets = Annotated[
    Path | None,
    typer.Option(
        help="Also write MODEL_BENCHMARK.xlsx files here, which VLMEvalKit's run.py --mode eval "
        "reads."
    ),
]
HeldOutSeqlen = Annotated[
    int, typer.Option(help="Tokens a sample of the held-out text.", rich_help_panel=DATA)
]
AnsweredBy = Annotated[
    Literal["transformers", "vllm"],
    typer.Option("--engine", help="What answers, for all models alike.", rich_help_panel=HOW),
]
Mode = Annotated[
    Literal["shared_prefix", "batched", "one_by_one"],
    typer.Option(
        help="transformers: each image computed once, padded batches, or one at a time.",
        rich_help_panel=HOW,
    ),
]
Loader = Annotated[
    Literal["own", "client"],
    typer.Option(
        help="Read checkpoints by our own hand, or as a client does, with its kernels.",
        rich_help_panel=HOW,
    ),
]
ImagePath = Annotated[
    Literal["vlmevalkit", "direct"],
    typer.Option(
        help="Save images as JPEG once more, as VLMEvalKit does, or take them as they are.",
        rich_help_panel=HOW,
    ),
]
MaxNewTokens = Annotated[int, typer.Option(help="Longest answer.", rich_help_panel=HOW)]
Questions = Annotated[
    int,
    typer.Option("--batch-size", help="Most questions in a forward pass.", rich_help_panel=HOW),
]
Shards = Annotated[
    int, typer.Option(help="Parts, cut by image, that are tasks.", rich_help_panel=RUNNING)
]
Parallel = Annotated[
    int, typer.Option(help="Models or parts answered at a time.", rich_help_panel=RUNNING)
]
OneResult = Annotated[
    str,
    typer.Argument(
        metavar="A.json", help="What evaluate or score wrote; FILE:NAME where it has several."
    ),
]
OtherResult = Annotated[
    str, typer.Argument(metavar="B.json", help="What is compared with the first.")
]
ComparisonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the comparison to this file.")
]
