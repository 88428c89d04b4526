"""How long things take: a run's heartbeats, its silence, and a worker that leaves."""

import datetime as dt

HEARTBEAT = "prefect.flow-run.heartbeat"
HEARTBEAT_SECONDS = 30
LEAVING_SECONDS = 45.0  # for a worker's runs to end; systemd and Docker are told to wait for 60
PATIENCE = dt.timedelta(seconds=90)  # three in a row, or the first one of a run that was taken
