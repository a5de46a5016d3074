"""Load on the recipes API as its users make it: most browse, search and read; few sign in and edit.

Editors take part when LOCUST_USERNAME and LOCUST_PASSWORD name a user with the role editor.
"""

import os
import random
import uuid

from locust import HttpUser, between, task
from locust.exception import StopUser

WORDS = [
    "lemon",
    "ragu",
    "pesto",
    "tomato",
    "anchovy",
    "clams",
    "spag",
    "ricotta",
    '"pasta water"',
    "beans or chickpeas",
]
RECIPE = "/api/recipes/[slug]"


class Visitor(HttpUser):
    """Looks around: a list, maybe a search or a tag, then a recipe that it reads for a while."""

    weight = 9
    wait_time = between(1, 5)

    def on_start(self) -> None:
        self.slugs: list[str] = []
        self.tags: list[str] = []
        self.open_the_site()

    @task(2)
    def open_the_site(self) -> None:
        self._list({"page": 1}, "/api/recipes")
        response = self.client.get("/api/tags")
        if response.status_code == 200:
            self.tags = [tag["name"] for tag in response.json()]

    @task(2)
    def turn_the_page(self) -> None:
        self._list(
            {"page": random.choice([1, 2]), "sort": random.choice(["newest", "title", "quickest"])},
            "/api/recipes",
        )

    @task(3)
    def search(self) -> None:
        self._list({"q": random.choice(WORDS)}, "/api/recipes?q=")

    @task(2)
    def filter_by_tag(self) -> None:
        if self.tags:
            self._list({"tag": random.choice(self.tags)}, "/api/recipes?tag=")

    @task(6)
    def read(self) -> None:
        if self.slugs:
            self.client.get(f"/api/recipes/{random.choice(self.slugs)}", name=RECIPE)

    def _list(self, query: dict[str, object], name: str) -> None:
        response = self.client.get("/api/recipes", params=query, name=name)
        if response.status_code == 200:
            self.slugs = [item["slug"] for item in response.json()["items"]] or self.slugs


class Editor(HttpUser):
    """Signs in once, writes a recipe, reads and edits it now and then, and deletes it when leaving."""

    weight = 1
    wait_time = between(10, 30)
    address: str | None = None
    abstract = not (os.environ.get("LOCUST_USERNAME") and os.environ.get("LOCUST_PASSWORD"))

    def on_start(self) -> None:
        credentials = {"username": os.environ["LOCUST_USERNAME"], "password": os.environ["LOCUST_PASSWORD"]}
        signed_in = self.client.post("/api/auth/token", json=credentials)
        if signed_in.status_code != 200:
            raise StopUser  # Locust has counted the failure.
        self.client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        created = self.client.post("/api/recipes", json=self._recipe(f"Load test {uuid.uuid4()}"))
        if created.status_code != 201:
            raise StopUser
        self.address = created.headers["Location"]

    @task
    def edit(self) -> None:
        response = self.client.get(self.address, name=RECIPE)
        if response.status_code == 200:
            etag, recipe = response.headers["ETag"], self._recipe(response.json()["title"])
            self.client.put(self.address, json=recipe, headers={"If-Match": etag}, name=RECIPE)

    def on_stop(self) -> None:
        if self.address:
            self.client.delete(self.address, name=RECIPE)

    @staticmethod
    def _recipe(title: str) -> dict[str, object]:
        return {
            "title": title,
            "summary": "Written by the load test, which removes it again.",
            "tags": ["load-test"],
            "minutes": random.randint(5, 60),
            "servings": 4,
            "ingredients": [{"quantity": "400 g", "name": "spaghetti"}],
            "steps": ["Boil the spaghetti."],
        }
