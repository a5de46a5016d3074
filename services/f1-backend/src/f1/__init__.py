"""F1 predictions: ingest, features, model and the HTTP API that serves them."""
