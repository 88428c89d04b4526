"""The commands; what they do is in the modules beside this one.

Those are imported inside the commands, and what runs a recipe only when the recipe is sound: torch,
transformers and Prefect take seconds to import, and neither `--help` nor a typing error should.
Inside `finish`, a signal that comes while they are imported ends the command as cleanly as later.
"""

# ruff: noqa: PLC0415 -- see above

from pathlib import Path

import typer

from flows.cli import flags, pages
from flows.cli.hub import hub_app
from flows.cli.releaseapp import release_app
from flows.cli.session import Session
from flows.cli.storeapp import store_app
from flows.cli.upapp import up_app
from flows.importing import without_collecting
from infra.evaluation.rules import DEFAULT_RULES

app = typer.Typer(
    name="roundhouse",
    help=pages.ROUNDHOUSE,
    epilog=pages.EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(release_app)
app.add_typer(up_app)
app.add_typer(hub_app, name="hub")
app.add_typer(store_app, name="store")


@app.callback()
def _roundhouse(*, version: flags.Version = False) -> None:
    """Flags of the program itself; ``version`` acts by its callback."""


@app.command(epilog=pages.QUANTIZE_EXAMPLES)
def quantize(  # noqa: PLR0913 -- a command line is its flags
    *,
    model: flags.Model,
    output_dir: flags.OutputDir,
    revision: flags.Revision = None,
    formats: flags.Formats = "auto_round,auto_gptq",
    calibration: flags.Calibration = None,
    images: flags.Images = None,
    nsamples: flags.Nsamples = 512,
    seqlen: flags.Seqlen = 2048,
    held_out: flags.HeldOut = None,
    held_out_nsamples: flags.HeldOutNsamples = 32,
    bits: flags.Bits = 4,
    group_size: flags.GroupSize = 128,
    sym: flags.Sym = True,
    iters: flags.Iters = 1000,
    batch_size: flags.BatchSize = 8,
    lr: flags.Lr = None,
    seed: flags.Seed = 42,
    segments: flags.Segments = 1,
    device: flags.Device = "auto",
    dtype: flags.Dtype = "auto",
    threads: flags.Threads = None,
    workspace: flags.Workspace = flags.HERE,
    keep_server: flags.KeepServer = True,
    verbose: flags.Verbose = False,
) -> None:
    """Quantize one model on one calibration set, and verify what is written."""
    from flows.cli.exits import Exit, finish

    session = Session(workspace, keep_server, verbose)

    def command() -> Exit:
        from flows.cli import arguments

        asked = arguments.Asked(
            model=model,
            revision=revision,
            data=arguments.Data(calibration, images, nsamples, seqlen),
            quantization={
                "bits": bits, "group_size": group_size, "symmetric": sym, "iters": iters,
                "batch_size": batch_size, "lr": lr, "seed": seed, "segments": segments,
            },
            formats=formats,
            output_dir=output_dir,
            compute={"device": device, "dtype": dtype, "threads": threads},
            held_out=held_out,
            held_out_nsamples=held_out_nsamples,
        )  # fmt: skip
        recipe = arguments.to_recipe(asked)
        with without_collecting():
            from flows.cli import execute

        return execute.run_recipe(recipe, session)

    raise typer.Exit(finish(command, verbose=verbose, after_interrupt=session.after_interrupt))


@app.command(epilog=pages.RUN_EXAMPLES)
def run(
    recipe: flags.Recipe,
    overrides: flags.Overrides = None,
    *,
    approve_hold: flags.ApproveHold = False,
    workspace: flags.Workspace = flags.HERE,
    keep_server: flags.KeepServer = True,
    verbose: flags.Verbose = False,
) -> None:
    """Run a whole recipe: all its variants, formats and checks."""
    from flows.cli.exits import Exit, finish

    session = Session(workspace, keep_server, verbose, approve_hold)

    def command() -> Exit:
        from flows import recipefile

        checked = recipefile.load(recipe, overrides or ())
        with without_collecting():
            from flows.cli import execute

        return execute.run_recipe(checked, session)

    raise typer.Exit(finish(command, verbose=verbose, after_interrupt=session.after_interrupt))


@app.command(epilog=pages.INSPECT_EXAMPLES)
def inspect(
    folder: flags.Folder,
    *,
    json: flags.Json = False,
    digests: flags.Digests = True,
    verbose: flags.Verbose = False,
) -> None:
    """Tell what a checkpoint holds, and whether it is sound."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import inspection

        return inspection.show(folder, as_json=json, check_digests=digests)

    raise typer.Exit(finish(command, verbose=verbose))


@app.command(epilog=pages.SCORE_EXAMPLES)
def score(  # noqa: PLR0913 -- a command line is its flags
    *,
    kind: flags.BenchmarkKind,
    benchmark: flags.BenchmarkFile,
    predictions: flags.Predictions,
    rules: flags.Rules = DEFAULT_RULES,
    circular: flags.Circular = None,
    json: flags.ScoresFile = None,
    verbose: flags.Verbose = False,
) -> None:
    """Tell what recorded answers to a benchmark are worth, whoever made them."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import scoring

        return scoring.run(scoring.Asked(kind, benchmark, predictions, rules, circular, json))

    raise typer.Exit(finish(command, verbose=verbose))


@app.command(epilog=pages.EVALUATE_EXAMPLES)
def evaluate(  # noqa: PLR0913 -- a command line is its flags
    checkpoints: flags.Checkpoints,
    *,
    benchmarks: flags.BenchmarkFolder,
    baseline: flags.Baseline = None,
    tasks: flags.Tasks = None,
    rules: flags.Rules = DEFAULT_RULES,
    limit: flags.Limit = None,
    json: flags.EvaluationFile = None,
    spreadsheets: flags.Spreadsheets = None,
    held_out: flags.HeldOut = None,
    held_out_nsamples: flags.HeldOutNsamples = 32,
    held_out_seqlen: flags.HeldOutSeqlen = 2048,
    engine: flags.AnsweredBy = "transformers",
    mode: flags.Mode = "shared_prefix",
    loader: flags.Loader = "own",
    image_path: flags.ImagePath = "vlmevalkit",
    max_new_tokens: flags.MaxNewTokens = 64,
    batch_size: flags.Questions = 32,
    shards: flags.Shards = 1,
    parallel: flags.Parallel = 2,
    device: flags.Device = "auto",
    dtype: flags.Dtype = "auto",
    threads: flags.Threads = None,
    workspace: flags.Workspace = flags.HERE,
    keep_server: flags.KeepServer = True,
    verbose: flags.Verbose = False,
) -> None:
    """Let checkpoints answer benchmarks, and judge them beside their 16-bit model."""
    from flows.cli.exits import Exit, finish

    session = Session(workspace, keep_server, verbose)

    def command() -> Exit:
        with without_collecting():
            from flows.cli import evaluation

        asked = evaluation.Asked(
            checkpoints=checkpoints,
            baseline=baseline,
            benchmarks=benchmarks,
            tasks=tasks,
            held_out=evaluation.HeldOut(held_out, held_out_nsamples, held_out_seqlen),
            answering={
                "rules": rules, "limit": limit, "engine": engine, "mode": mode, "loader": loader,
                "image_path": image_path, "max_new_tokens": max_new_tokens,
                "batch_size": batch_size, "shards": shards, "parallel": parallel,
            },
            compute={"device": device, "dtype": dtype, "threads": threads},
            json=json,
            spreadsheets=spreadsheets,
        )  # fmt: skip
        return evaluation.run(asked, session)

    raise typer.Exit(finish(command, verbose=verbose, after_interrupt=session.after_interrupt))


@app.command(epilog=pages.COMPARE_EXAMPLES)
def compare(
    baseline: flags.OneResult,
    candidate: flags.OtherResult,
    *,
    json: flags.ComparisonFile = None,
    verbose: flags.Verbose = False,
) -> None:
    """Put two results side by side, question by question."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import comparing

        return comparing.run(baseline, candidate, json)

    raise typer.Exit(finish(command, verbose=verbose))


@app.command(epilog=pages.DEMO_EXAMPLES)
def demo(
    overrides: flags.Overrides = None,
    *,
    fresh: flags.Fresh = False,
    workspace: flags.Workspace = flags.HERE,
    keep_server: flags.KeepServer = True,
    verbose: flags.Verbose = False,
) -> None:
    """Quantize the packaged demo model on generated data: the whole pipeline, in minutes."""
    from flows.cli.exits import Exit, finish

    session = Session(workspace, keep_server, verbose)

    def command() -> Exit:
        with without_collecting():
            from flows.cli import demo as demonstration

        return demonstration.run(session, overrides or (), fresh=fresh)

    raise typer.Exit(finish(command, verbose=verbose, after_interrupt=session.after_interrupt))


@app.command()
def ui(
    *,
    stop: flags.Stop = False,
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Start the Prefect server that has the pages of all runs, or stop it."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        from flows.cli import serve

        return serve.stop(workspace) if stop else serve.start(workspace)

    raise typer.Exit(finish(command, verbose=verbose))


def _kept(workspace: Path) -> str:
    return (
        f"Finished blocks are kept in {workspace / 'store'}; the same command goes on from there."
    )
