"""The model: members, calibration, walk-forward evaluation, artifacts and the report."""
