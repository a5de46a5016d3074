"""A service that lists the table `things`, by the columns in COLUMNS."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from sqlalchemy import Select, column, literal_column, select, table

from servicekit.app import create_app
from servicekit.database import Database, DatabaseDependency
from servicekit.server import serve
from servicekit.settings import ServiceSettings, load_settings

router = APIRouter(prefix="/api")
columns = os.environ.get("COLUMNS", "id, name").split(", ")
all_things: Select[*tuple[Any, ...]] = select(*map(literal_column, columns)).select_from(table("things"))


class Thing(BaseModel):
    id: int
    name: str


@router.get("/things")
def things(database: DatabaseDependency) -> list[Thing]:
    with database.session() as session:
        return [_thing(row) for row in session.execute(all_things.limit(20))]


@router.get("/things/{id}")
def thing(id: int, database: DatabaseDependency) -> Thing:
    with database.session() as session:
        return _thing(session.execute(all_things.where(column("id") == id)).one())


def _thing(row: Sequence[Any]) -> Thing:
    return Thing.model_construct(id=row[0], name=row[1])


if __name__ == "__main__":
    settings = load_settings(ServiceSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.database = Database(settings)
        yield
        app.state.database.close()

    serve(
        create_app(
            settings, service="things", title="Things", description="", routers=[router], lifespan=lifespan
        ),
        settings,
    )
