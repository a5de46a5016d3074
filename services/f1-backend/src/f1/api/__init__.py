"""The HTTP API: shapes, queries, routes and the model that is being served."""
