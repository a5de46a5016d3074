import threading
import time
from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from servicekit.database import Database, DatabaseDependency
from tests.conftest import MakeSettings


def test_an_unreachable_database_fails_its_check(make_settings: MakeSettings) -> None:
    database = Database(make_settings())
    with pytest.raises(OperationalError):
        database.check()
    database.close()


@pytest.mark.integration
class TestWithPostgres:
    @pytest.fixture
    def make_database(
        self, make_settings: MakeSettings, database_url: str
    ) -> Iterator[Callable[..., Database]]:
        opened: list[Database] = []

        def make(**values: object) -> Database:
            opened.append(Database(make_settings(database_url=database_url, db_pool_size=2, **values)))
            return opened[-1]

        yield make
        for each in opened:
            each.close()

    @pytest.fixture
    def database(self, make_database: Callable[..., Database]) -> Database:
        return make_database()

    @pytest.fixture
    def client(self, make_client: Callable[..., TestClient], database: Database) -> TestClient:
        return self.client_of(make_client, database)

    def client_of(self, make_client: Callable[..., TestClient], database: Database) -> TestClient:
        router = APIRouter()

        @router.get("/sleep/{seconds}")
        def sleep(seconds: float, used: DatabaseDependency) -> None:
            with used.session() as session:
                session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

        client = make_client(router, checks={"database": database.check})
        client.app.state.database = database  # type: ignore[attr-defined]
        return client

    def test_a_session_is_one_transaction(self, database: Database) -> None:
        with database.session() as session:
            session.execute(text("CREATE TABLE kept (n int)"))
        with pytest.raises(ZeroDivisionError), database.session() as session:
            session.execute(text("INSERT INTO kept VALUES (1)"))
            raise ZeroDivisionError
        with database.session() as session:
            assert session.scalar(text("SELECT count(*) FROM kept")) == 0

    def test_statements_end_in_time(
        self, make_client: Callable[..., TestClient], make_database: Callable[..., Database]
    ) -> None:
        hasty = self.client_of(make_client, make_database(db_statement_timeout_ms=300))
        response = hasty.get("/sleep/600")
        assert response.status_code == 503
        assert response.elapsed.total_seconds() < 60

    def test_an_exhausted_pool_is_503_soon_and_the_service_stays_ready(
        self, make_client: Callable[..., TestClient], make_database: Callable[..., Database]
    ) -> None:
        database = make_database(db_pool_timeout_seconds=0.2)
        client = self.client_of(make_client, database)
        with database.session() as one, database.session() as two:
            for session in (one, two):
                session.execute(text("SELECT 1"))
            started = time.perf_counter()
            response = client.get("/sleep/0")
            assert time.perf_counter() - started < 30
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert client.get("/health/ready").status_code == 200
        assert client.get("/sleep/0").status_code == 200

    def test_connections_stay_within_the_limit(self, client: TestClient, database: Database) -> None:
        statuses: list[int] = []
        opened: list[object] = []
        event.listen(database.engine, "connect", lambda connection, _: opened.append(connection))

        def ask() -> None:
            statuses.append(client.get("/sleep/0.15").status_code)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 8
        assert len(opened) <= 2
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    def test_recovers_from_connections_that_the_server_ended(
        self, database: Database, client: TestClient
    ) -> None:
        assert client.get("/sleep/0").status_code == 200
        with database.session() as session:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            session.execute(text(f"{others} AND datname = current_database()"))
        assert client.get("/sleep/0").status_code == 200
