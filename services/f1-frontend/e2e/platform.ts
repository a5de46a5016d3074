import { expect, type APIRequestContext } from "@playwright/test"
import type {
  DriverRow,
  EloSeries,
  ModelCard,
  Performance,
  RaceDetail,
  RaceSummary,
} from "../src/api/types.ts"

/** What the backend says, to compare pages with: journeys work on any seasons that are ingested. */
export class Platform {
  private readonly request: APIRequestContext

  constructor(request: APIRequestContext) {
    this.request = request
  }

  seasons = () => this.get<number[]>("seasons")
  nextRace = () => this.get<RaceDetail>("races/next")
  races = (season: number) => this.get<RaceSummary[]>(`races?season=${season}`)
  race = (season: number, round: number) => this.get<RaceDetail>(`races/${season}/${round}`)
  drivers = (season: number) => this.get<DriverRow[]>(`drivers?season=${season}`)
  elo = (season: number, kind: string) => this.get<EloSeries[]>(`elo?season=${season}&kind=${kind}`)
  performance = () => this.get<Performance>("performance")
  model = () => this.get<ModelCard>("model")

  async latestSeason(): Promise<number> {
    return required((await this.seasons()).at(-1), "a season: ingest some on the backend")
  }

  /** The last race that was both predicted and run. */
  async lastJudged(): Promise<RaceSummary> {
    const seasons = await this.seasons()
    for (const season of seasons.toReversed()) {
      const judged = (await this.races(season)).filter((race) => race.hit !== null)
      const last = judged.at(-1)
      if (last) return last
    }
    throw new Error("the backend has no race with both a prediction and a result")
  }

  private async get<T>(path: string): Promise<T> {
    const answer = await this.request.get(`/api/f1/${path}`)
    expect(answer.ok(), `${answer.url()} answered ${answer.status()}`).toBe(true)
    return (await answer.json()) as T
  }
}

/** The value, or a clear failure when it is not there. */
export function required<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`the backend has no ${what}`)
  return value
}

/** Every page, by a name, at an address that exists on this backend. */
export async function allPages(platform: Platform): Promise<Record<string, string>> {
  const race = await platform.lastJudged()
  const driver = required((await platform.drivers(race.season))[0], "driver")
  const team = required(driver.constructor, "constructor of the first driver")
  return {
    next: "/",
    races: `/races?season=${race.season}`,
    race: `/races/${race.season}/${race.round}`,
    performance: `/performance?season=${race.season}`,
    drivers: `/drivers?season=${race.season}`,
    driver: `/drivers/${driver.id}?season=${race.season}`,
    constructors: `/constructors?season=${race.season}`,
    constructor: `/constructors/${team.id}?season=${race.season}`,
    elo: `/elo?season=${race.season}`,
    model: "/model",
    "not-found": "/pits",
  }
}
