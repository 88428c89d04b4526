"""How often a run says that it lives, and after how long a silence it is taken for lost."""

import datetime as dt

HEARTBEAT = "prefect.flow-run.heartbeat"
HEARTBEAT_SECONDS = 30
PATIENCE = dt.timedelta(seconds=90)  # three in a row, or the first one of a run that was taken
