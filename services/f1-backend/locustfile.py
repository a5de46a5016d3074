"""Load on the F1 API as the dashboard makes it: most look at the next race, many look back, few go deep."""

import random

from locust import HttpUser, between, task

RACE = "/api/f1/races/[season]/[round]"


class Fan(HttpUser):
    """Opens the dashboard, looks at the next race, then wanders through races, drivers and charts."""

    wait_time = between(1, 5)

    def on_start(self) -> None:
        self.races: list[tuple[int, int]] = []
        self.drivers: list[str] = []
        self.constructors: list[str] = []
        self.seasons: list[int] = []
        with self.client.get("/api/f1/seasons", catch_response=True) as response:
            if response.ok:
                self.seasons = response.json()
        self.open_the_dashboard()

    def season(self) -> dict[str, int]:
        """The latest season mostly, sometimes an older one."""
        return {"season": random.choice(self.seasons)} if self.seasons and random.random() < 0.3 else {}

    @task(6)
    def open_the_dashboard(self) -> None:
        self.client.get("/api/f1/races/next")
        with self.client.get(
            "/api/f1/races", params=self.season(), name="/api/f1/races", catch_response=True
        ) as found:
            if found.ok:
                self.races = [(race["season"], race["round"]) for race in found.json()] or self.races

    @task(4)
    def look_at_a_race(self) -> None:
        if self.races:
            season, round_ = random.choice(self.races)
            self.client.get(f"/api/f1/races/{season}/{round_}", name=RACE)

    @task(3)
    def look_at_the_standings(self) -> None:
        with self.client.get(
            "/api/f1/standings", params=self.season(), name="/api/f1/standings", catch_response=True
        ) as found:
            if found.ok:
                self.drivers = [driver["id"] for driver in found.json()["drivers"]]
                self.constructors = [team["id"] for team in found.json()["constructors"]]

    @task(3)
    def look_at_a_driver(self) -> None:
        if self.drivers:
            self.client.get(f"/api/f1/drivers/{random.choice(self.drivers)}", name="/api/f1/drivers/[id]")

    @task(1)
    def look_at_a_constructor(self) -> None:
        if self.constructors:
            self.client.get(
                f"/api/f1/constructors/{random.choice(self.constructors)}", name="/api/f1/constructors/[id]"
            )

    @task(2)
    def look_at_the_ratings(self) -> None:
        kind = random.choice(["driver", "constructor"])
        self.client.get("/api/f1/elo", params={"kind": kind, **self.season()}, name="/api/f1/elo")

    @task(2)
    def check_the_model(self) -> None:
        self.client.get("/api/f1/model")
        self.client.get("/api/f1/performance", params=self.season(), name="/api/f1/performance")
