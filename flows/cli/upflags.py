"""The flags of `roundhouse up`, `down`, `worker` and `doctor`."""

import enum
from typing import Annotated

import typer

Recipes = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="A recipe that the service runs by schedule, on demand and by tag; again for more. "
        "Without any: the demo's.",
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(help="One worker each: auto (all GPUs, or else the CPU), cpu, or numbers: 0,1."),
]
CpuWorkers = Annotated[
    int | None, typer.Option(min=1, help="Workers where the device is the CPU.", show_default="1")
]
Schedule = Annotated[
    str | None,
    typer.Option(help="Cron expression, in UTC, at which all recipes run; an empty one: never."),
]
Host = Annotated[
    str | None,
    typer.Option(
        help="Address that the server listens on; others than loopback let others in.",
        show_default="127.0.0.1",
    ),
]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Its port.", show_default="4200, or any that is free"),
]
WebhookPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port of the webhook receiver.", show_default="8450"),
]
ApiProcesses = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes that serve the API; several need ROUNDHOUSE_DATABASE_URL and "
        "ROUNDHOUSE_REDIS_URL.",
        show_default="1",
    ),
]
Foreground = Annotated[
    bool,
    typer.Option(
        "--foreground", help="Stay, start again what dies, and stop everything when stopped."
    ),
]


class Pool(enum.StrEnum):
    """The work pools of a service, as `flows.service.workers` names them."""

    GPU = "gpu"
    CPU = "cpu"


WorkPool = Annotated[
    Pool,
    typer.Option(
        help="gpu: segments, answers and comparisons, one at a time.  cpu: runs that hand these "
        "out, and wait."
    ),
]
WorkDevice = Annotated[
    str,
    typer.Option(
        help="What a worker of the pool gpu works on: auto (the GPU, or else the CPU), cpu, or a "
        "number: 0."
    ),
]
WorkerName = Annotated[
    str | None,
    typer.Option(help="How the pages call it.", show_default="the machine's name and the device"),
]
RunOnce = Annotated[
    bool,
    typer.Option("--run-once", help="Carry out what waits now, if anything does, and end."),
]
Probed = Annotated[
    list[str] | None,
    typer.Option("--recipe", help="Look at its store and its Hub, too; again for more."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
