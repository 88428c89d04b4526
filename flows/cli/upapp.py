"""The commands of the service; what they do is in `flows.cli.servicing`.

As in `flows.cli.app`, that is imported inside the commands.
"""

# ruff: noqa: PLC0415 -- see above

import typer

from flows.cli import flags, pages, upflags
from flows.importing import without_collecting

up_app = typer.Typer()


@up_app.command(epilog=pages.UP_EXAMPLES)
def up(  # noqa: PLR0913 -- a command line is its flags
    *,
    recipe: upflags.Recipes = None,
    devices: upflags.Devices = None,
    cpu_workers: upflags.CpuWorkers = None,
    schedule: upflags.Schedule = None,
    host: upflags.Host = None,
    port: upflags.Port = None,
    webhook_port: upflags.WebhookPort = None,
    api_processes: upflags.ApiProcesses = None,
    foreground: upflags.Foreground = False,
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Start the service, or mend it: server, workers, Hub, schedules, webhooks.

    A flag that is left out keeps the value that it had.  Given twice, nothing changes.
    """
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import servicing

        asked = {
            "recipes": recipe, "devices": devices, "cpu_workers": cpu_workers,
            "schedule": schedule, "host": host, "port": port, "webhook_port": webhook_port,
            "api_processes": api_processes,
        }  # fmt: skip
        return servicing.up(workspace, asked, foreground=foreground)

    raise typer.Exit(
        finish(command, verbose=verbose, after_interrupt="`roundhouse up` goes on from there.")
    )


@up_app.command()
def down(
    *,
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Stop the service with all that it has started; its data stay."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import servicing

        return servicing.down(workspace)

    raise typer.Exit(finish(command, verbose=verbose))


@up_app.command(epilog=pages.WORKER_EXAMPLES)
def worker(
    *,
    pool: upflags.WorkPool = upflags.Pool.GPU,
    device: upflags.WorkDevice = "auto",
    name: upflags.WorkerName = None,
    run_once: upflags.RunOnce = False,
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Join a service with one more worker, as a rule on another machine; stays until stopped."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import working

        asked = working.Asked(pool, device, name, run_once)
        return working.run(workspace, asked)

    raise typer.Exit(finish(command, verbose=verbose))


@up_app.command(epilog=pages.DOCTOR_EXAMPLES)
def doctor(
    *,
    recipe: upflags.Probed = None,
    json: upflags.AsJson = False,
    workspace: flags.Workspace = flags.HERE,
    verbose: flags.Verbose = False,
) -> None:
    """Look at all that the service stands on, and say what to do about what is not well."""
    from flows.cli.exits import Exit, finish

    def command() -> Exit:
        with without_collecting():
            from flows.cli import doctoring

        return doctoring.run(workspace, recipe or (), as_json=json)

    raise typer.Exit(finish(command, verbose=verbose))
