import threading
from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import MakeClient, a_recipe, sign_in

pytestmark = pytest.mark.integration

ADDRESS = "/api/recipes/pasta-al-burro"


def _create(editor: TestClient, **changes: object) -> dict[str, Any]:
    response = editor.post("/api/recipes", json=a_recipe(**changes))
    assert response.status_code == 201, response.text
    return dict(response.json())


def test_create_edit_delete(editor: TestClient) -> None:
    response = editor.post("/api/recipes", json=a_recipe(tags=["b", "a"]))
    assert response.status_code == 201
    assert response.headers["location"] == ADDRESS
    assert response.headers["etag"] == '"1"'
    created = response.json()
    assert (created["author"], created["version"]) == ("nonna", 1)
    assert created["tags"] == ["b", "a"]
    assert editor.get(ADDRESS).json() == created

    changed = a_recipe(title="Pasta burro e salvia", steps=["Brown the butter with sage."])
    response = editor.put(ADDRESS, json=changed, headers={"If-Match": '"1"'})
    assert response.status_code == 200
    assert response.headers["etag"] == '"2"'
    updated = response.json()
    assert (updated["slug"], updated["title"], updated["version"]) == ("pasta-al-burro", changed["title"], 2)
    assert updated["created_at"] == created["created_at"]
    assert updated["updated_at"] > created["updated_at"]
    assert editor.get(ADDRESS).json() == updated
    assert [item["slug"] for item in editor.get("/api/recipes?q=sage").json()["items"]] == ["pasta-al-burro"]

    assert editor.delete(ADDRESS, headers={"If-Match": '"1"'}).status_code == 412
    assert editor.delete(ADDRESS).status_code == 204
    assert editor.get(ADDRESS).status_code == 404
    assert editor.delete(ADDRESS).status_code == 404
    assert editor.put(ADDRESS, json=changed, headers={"If-Match": "*"}).status_code == 404


def test_unicode_survives(editor: TestClient) -> None:
    title = "Ćevapi-ragù 🍝 مكرونة \u202e \u0301"
    created = _create(editor, title=title, ingredients=[{"quantity": "½ kg", "name": "日本の𝓅𝒶𝓈𝓉𝒶"}])
    read = editor.get(f"/api/recipes/{created['slug']}").json()
    assert read["title"] == title
    assert read["ingredients"][0] == {"quantity": "½ kg", "name": "日本の𝓅𝒶𝓈𝓉𝒶"}


def test_a_second_recipe_of_the_same_name(editor: TestClient) -> None:
    _create(editor)
    response = editor.post("/api/recipes", json=a_recipe())
    assert response.status_code == 409
    assert response.json()["slug"] == "pasta-al-burro"
    assert editor.get("/api/recipes").json()["total"] == 1


def test_edits_name_the_version_that_they_change(editor: TestClient) -> None:
    _create(editor)
    assert editor.put(ADDRESS, json=a_recipe()).status_code == 428
    for header in ('"2"', "1", 'W/"x"', ""):
        response = editor.put(ADDRESS, json=a_recipe(), headers={"If-Match": header})
        assert response.status_code == 412
        assert response.json()["version"] == 1
    assert editor.put(ADDRESS, json=a_recipe(), headers={"If-Match": '"7", "1"'}).status_code == 200


def test_of_concurrent_edits_one_wins(editor: TestClient) -> None:
    _create(editor)
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    start = threading.Barrier(8)

    def edit(number: int) -> None:
        start.wait()
        response = editor.put(ADDRESS, json=a_recipe(title=f"Edit {number}"), headers={"If-Match": '"1"'})
        with lock:
            statuses[response.status_code] += 1

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {200: 1, 412: 7}
    assert editor.get(ADDRESS).json()["version"] == 2


def test_of_concurrent_creations_one_wins(editor: TestClient) -> None:
    statuses: Counter[int] = Counter()
    start = threading.Barrier(6)

    def create() -> None:
        start.wait()
        statuses[editor.post("/api/recipes", json=a_recipe()).status_code] += 1

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {201: 1, 409: 5}


def test_who_may_write(client: TestClient) -> None:
    for method, path in (("POST", "/api/recipes"), ("PUT", ADDRESS), ("DELETE", ADDRESS)):
        anonymous = client.request(method, path, json=a_recipe())
        assert anonymous.status_code == 401
        assert anonymous.headers["www-authenticate"] == "Bearer"
    assert sign_in(client, "admin").post("/api/recipes", json=a_recipe()).status_code == 201


def test_writes_are_limited(make_client: MakeClient) -> None:
    editor = sign_in(make_client(rate_limit_writes="3/minute"))
    statuses = [editor.delete(ADDRESS).status_code for _ in range(4)]
    assert statuses == [404, 404, 404, 429]
    assert editor.get("/api/recipes").status_code == 200


def test_reads_after_a_write_are_never_stale(make_client: MakeClient) -> None:
    """Two processes on one cache, readers all the time: what was answered to the writer is what all see."""
    writer = sign_in(make_client(rate_limit_writes="10000/minute"))
    other = make_client()
    _create(writer)
    stop, stale, written = threading.Event(), list[tuple[int, int]](), 1
    reads: Counter[int] = Counter()

    def read(client: TestClient) -> None:
        while not stop.is_set():
            at_least = written
            got = client.get(ADDRESS).json()["version"]
            reads[got] += 1
            if got < at_least:
                stale.append((got, at_least))

    readers = [threading.Thread(target=read, args=(client,)) for client in (writer, other) for _ in range(2)]
    for reader in readers:
        reader.start()
    for version in range(1, 40):
        response = writer.put(ADDRESS, json=a_recipe(), headers={"If-Match": f'"{version}"'})
        assert response.status_code == 200, response.text
        written = response.json()["version"]
        assert other.get(ADDRESS).json()["version"] == written
        assert other.get("/api/recipes").json()["items"][0]["updated_at"] == response.json()["updated_at"]
    stop.set()
    for reader in readers:
        reader.join()
    assert stale == []
    assert len(reads) > 10
