"""What processes are told by their environment."""

WORKSPACE = "ROUNDHOUSE_WORKSPACE"
"""Which folder of its machine a process uses: a worker's run whatever its plan says."""

RUN = "PREFECT__FLOW_RUN_ID"
"""Which flow run a process carries out, as Prefect's worker tells it that has started it."""
