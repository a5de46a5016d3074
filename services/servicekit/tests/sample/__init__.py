"""A package with a migration."""
