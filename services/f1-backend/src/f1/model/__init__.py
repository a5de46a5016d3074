"""The model: experts, their mixture, walk-forward evaluation, scores, artifacts and the report."""
