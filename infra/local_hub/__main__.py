"""`python -m infra.local_hub --root DIR`: a Hub as a process, until SIGTERM or SIGINT."""

import argparse
import logging
import sys
from pathlib import Path

from infra.errors import InfraError
from infra.local_hub.serving import LOOPBACK, USUAL_PORT, serve
from infra.local_hub.settings import HubSettings


def main() -> None:
    """Serve, as the arguments say; exit with 1 and a sentence where that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m infra.local_hub", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of its data")
    parser.add_argument("--host", default=LOOPBACK, help="where it listens")
    parser.add_argument("--port", type=int, default=USUAL_PORT, help="0 for any that is free")
    parser.add_argument("--public-url", help="what clients call it, if not that")
    parser.add_argument("--no-xet", action="store_true", help="take large files the plain way only")
    asked = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        settings = HubSettings(root=asked.root, public_url=asked.public_url, xet=not asked.no_xet)
        serve(settings, host=asked.host, port=asked.port)
    except (InfraError, ValueError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
