"""Whether the forecasts that were made hold: predictions against results, drift of inputs, findings."""
