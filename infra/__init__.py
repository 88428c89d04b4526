"""The outside world: model files, calibration data, checkpoints, the artifact store.  No Prefect."""
