"""How often a run says that it lives, and after how long a silence it is taken for lost."""

import datetime as dt

HEARTBEAT_SECONDS = 30
PATIENCE = dt.timedelta(seconds=90)  # three in a row
STARTING = dt.timedelta(minutes=5)  # of a run's process, however busy the machine is
