"""The outside world: models, calibration data, checkpoints, the artifact store.  No Prefect."""
