"""Begin a flow run, in the process that a worker has started for it.

    python3 -m flows.service.beginning

The service's deployments have their workers run this in the place of `prefect.engine`, and it ends
by doing the same.
"""

from flows.service.output import outlive_readers


def main() -> None:
    """Make sure that the run outlives its worker, and begin it."""
    outlive_readers()

    from flows.service import begun  # noqa: PLC0415 -- Prefect keeps hold of the streams at once

    begun.main()


if __name__ == "__main__":
    main()
