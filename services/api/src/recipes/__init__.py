"""The recipes API."""
