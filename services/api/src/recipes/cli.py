"""The command line: `python -m recipes …`."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

import recipes
from recipes import accounts, store
from recipes.app import CACHE_PREFIX, build_app
from recipes.routes import CACHE_TAG
from recipes.schemas import Username
from recipes.seed import AUTHOR, seed_recipes
from recipes.settings import Settings
from servicekit import migrations
from servicekit.auth import Role, TokenService
from servicekit.cache import Cache
from servicekit.database import Database
from servicekit.logs import configure_logging
from servicekit.migrations.command import database_commands
from servicekit.server import serve as serve_app
from servicekit.settings import load_settings, schema_settings

log = logging.getLogger("recipes")

PASSWORD_VARIABLE = "RECIPES_PASSWORD"

cli = typer.Typer(help="The recipes API.", no_args_is_help=True, pretty_exceptions_enable=False)
cli.add_typer(database_commands(recipes), name="database")

UsernameArgument = Annotated[str, typer.Argument(help="Letters, digits, dots, dashes and underscores")]
RoleOption = Annotated[Role, typer.Option(help="What the user may do; an admin may do all")]


@cli.command()
def serve() -> None:
    """Serve over HTTP until SIGTERM."""
    settings = _start()
    serve_app(build_app(settings), settings)


@cli.command()
def migrate(revision: Annotated[str, typer.Option(help="Where to, as Alembic names it")] = "head") -> None:
    """Bring the database's schema up to date."""
    settings = _start()
    migrations.upgrade(settings, recipes, revision)
    log.info("the database is at %s", revision)


@cli.command()
def seed() -> None:
    """Add the recipes that come with the service, where missing."""
    settings = _start()
    with _database(settings) as database, database.session() as session:
        added = store.add_missing(session, seed_recipes(), AUTHOR)
    cache = Cache(settings, CACHE_PREFIX)
    cache.invalidate(CACHE_TAG)
    cache.close()
    log.info("added %d recipes", added)


@cli.command()
def openapi() -> None:
    """Print the API's description (OpenAPI)."""
    app = build_app(schema_settings(Settings))
    print(json.dumps(app.openapi(), indent=2, ensure_ascii=False))


@cli.command()
def create_user(username: UsernameArgument, role: RoleOption = "editor") -> None:
    """Add a user, or change one's password and role.

    The password comes from the variable RECIPES_PASSWORD, else from standard input.
    """
    settings = _start()
    name = _checked_username(username)
    password = _read_password()
    if len(password) < accounts.SHORTEST_PASSWORD:
        raise typer.BadParameter(f"The password must have at least {accounts.SHORTEST_PASSWORD} characters.")
    with _database(settings) as database:
        accounts.save_user(database, name, password, role)
    log.info("saved user %s with role %s", name, role)


@cli.command()
def token(
    username: UsernameArgument,
    role: RoleOption = "editor",
    ttl: Annotated[int, typer.Option(min=1, max=86_400, help="Seconds until it expires")] = 3600,
) -> None:
    """Print an access token, for scripts and operators."""
    settings = load_settings(Settings)
    print(TokenService(settings).issue(_checked_username(username), role, ttl))


def _start() -> Settings:
    settings = load_settings(Settings)
    configure_logging(settings.log_level, settings.secrets())
    return settings


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        database.close()


def _checked_username(username: str) -> str:
    try:
        return TypeAdapter[str](Username).validate_python(username)
    except ValidationError as error:
        raise typer.BadParameter(f"{username!r} is not a username: {error.errors()[0]['msg']}") from error


def _read_password() -> str:
    # Never an argument: those show in the list of processes.
    if password := os.environ.get(PASSWORD_VARIABLE):
        return password
    return getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
