"""A process that pushes in real flows, one after another, as `roundhouse` does; for one test.

    python -m tests.support.pushing ORDERS FOLDER

ORDERS is a JSON file with a list of orders.  Of each, what came of it is printed, a failure with
its whole traceback; the error itself is pickled into FOLDER.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import cloudpickle
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from infra.errors import InfraError
from infra.publishing.published import Published
from tasks.push import PushRequest, push_release


class Order(BaseModel):
    """What to push, and which token the environment has meanwhile."""

    request: PushRequest
    environment: Path | None = None  # a file with the token for `HF_TOKEN`


@flow(name="push-for-a-test", persist_result=True)
def push(request: PushRequest) -> Published:
    """Push a release, and put it on a page."""
    published = push_release(request)
    create_markdown_artifact(published.model_dump_json(indent=2), key="pushed")
    return published


def main(orders: Path, folder: Path) -> None:
    """Carry out all orders."""
    for number, raw in enumerate(json.loads(orders.read_text())):
        order = Order.model_validate(raw)
        os.environ.pop("HF_TOKEN", None)
        if order.environment is not None:
            os.environ["HF_TOKEN"] = order.environment.read_text().strip()
        try:
            published = push(order.request)
        except InfraError as error:
            traceback.print_exception(error)
            (folder / f"{number}.pickle").write_bytes(cloudpickle.dumps(error))
            sys.stdout.write(f"outcome {number}: {type(error).__name__}\n")
        else:
            sys.stdout.write(f"outcome {number}: {published.commits} commits\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
