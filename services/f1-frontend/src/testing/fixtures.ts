import type {
  ConstructorDetail,
  ConstructorRow,
  DriverDetail,
  DriverRow,
  EloSeries,
  ModelCard,
  Monitoring,
  PastPrediction,
  Performance,
  Prediction,
  RaceDetail,
  RaceSummary,
  WatchedStage,
} from "../api/types.ts"

type DriverName = Prediction["driver"]

/** A small fictional championship: four drivers, two teams, three races in each of two seasons. */

export const ada: DriverName = { id: "ada-swift", name: "Ada Swift", code: "SWI" }
export const ben: DriverName = { id: "ben-de-vos", name: "Ben de Vos", code: "VOS" }
export const cleo: DriverName = { id: "cleo-marsh", name: "Cleo Marsh", code: null }
export const dan: DriverName = { id: "dan-okoro", name: "Dan Okoro", code: null }
export const aurora = { id: "aurora", name: "Aurora Racing" }
export const borealis = { id: "borealis", name: "Borealis" }

export function raceSummary(round: number, changes: Partial<RaceSummary> = {}): RaceSummary {
  const places = ["Harbour", "Forest", "Desert"]
  const place = places[round - 1] ?? "Lake"
  return {
    season: 2031,
    round,
    name: `${place} Grand Prix`,
    circuit: place.toLowerCase(),
    circuit_name: `${place} Ring`,
    circuit_type: round === 1 ? "STREET" : "RACE",
    date: `2031-03-0${round}`,
    status: "completed",
    demo: false,
    winner: ada,
    predicted_winner: ada,
    hit: true,
    ...changes,
  }
}

export const season: RaceSummary[] = [
  raceSummary(1),
  raceSummary(2, { winner: ben, hit: false }),
  raceSummary(3, { status: "upcoming", winner: null, hit: null }),
]

type Chances = Partial<Omit<Prediction, "driver" | "constructor">>

export function prediction(driver = ada, constructor = aurora, changes: Chances = {}): Prediction {
  return {
    driver,
    constructor,
    grid: 1,
    win: 0.55,
    podium: 0.9,
    rank: 1,
    drivers_of_prediction: [
      { feature: "grid", label: "Place on the grid", value: 1, contribution: 0.9 },
      { feature: "elo", label: "Driver rating", value: 1812.4, contribution: -0.3 },
      { feature: "gap", label: "Gap to pole, %", value: null, contribution: 0.05 },
    ],
    other_contributions: 0.14,
    actual_position: null,
    status: null,
    ...changes,
  }
}

export const predictions: Prediction[] = [
  prediction(),
  prediction(ben, borealis, { grid: 2, win: 0.3, podium: 0.85, rank: 2 }),
  prediction(cleo, aurora, { grid: 3, win: 0.146, podium: 0.8, rank: 3 }),
  prediction(dan, borealis, {
    grid: null,
    win: 0.004,
    podium: 0.45,
    rank: 4,
    drivers_of_prediction: [],
    other_contributions: null,
  }),
]

export const nextRace: RaceDetail = {
  race: raceSummary(3, { status: "upcoming", winner: null, hit: null }),
  stage: "post-qualifying",
  model_version: "m-7",
  out_of_sample: true,
  generated_at: "2031-03-02T16:05:00Z",
  weather: { precipitation_mm: 0, temperature_c: 24.2, wind_kph: 12, source: "open-meteo" },
  note: null,
  predictions,
}

const results: [number | null, string][] = [
  [3, "finished"],
  [1, "finished"],
  [2, "finished"],
  [null, "dnf"],
]

export const pastRace: RaceDetail = {
  ...nextRace,
  race: raceSummary(2, { winner: ben, hit: false }),
  predictions: predictions.map((entry, index) => {
    const [actual_position, status] = results[index] ?? [null, "dns"]
    return { ...entry, actual_position, status }
  }),
}

/** A race with more drivers than the board shows at first. */
export const fullRace: RaceDetail = {
  ...nextRace,
  predictions: Array.from({ length: 12 }, (_, index) =>
    prediction({ id: `driver-${index}`, name: `Driver Number${index + 1}`, code: null }, aurora, {
      win: 1 / 12,
      rank: index + 1,
    }),
  ),
}

export const drivers: DriverRow[] = [
  { ...ada, constructor: aurora, elo: 1812, elo_change: 41.6, wins: 1, podiums: 2, points: 43, position: 1 },
  {
    ...ben,
    constructor: borealis,
    elo: 1840,
    elo_change: -12,
    wins: 1,
    podiums: 1,
    points: 25.5,
    position: 2,
  },
  { ...cleo, constructor: aurora, elo: 1500, elo_change: 0, wins: 0, podiums: 1, points: 18, position: 3 },
  { ...dan, constructor: null, elo: 1390, elo_change: -30, wins: 0, podiums: 0, points: 0, position: 4 },
]

export const constructors: ConstructorRow[] = [
  {
    ...aurora,
    drivers: [ada, cleo],
    elo: 1700,
    elo_change: 20,
    wins: 1,
    podiums: 3,
    points: 61,
    position: 1,
  },
  {
    ...borealis,
    drivers: [ben, dan],
    elo: 1650,
    elo_change: -9,
    wins: 1,
    podiums: 1,
    points: 25.5,
    position: 2,
  },
]

const pastRaces = [
  { season: 2030, round: 1, date: "2030-03-01", race: "Harbour Grand Prix" },
  { season: 2030, round: 2, date: "2030-03-02", race: "Forest Grand Prix" },
  { season: 2031, round: 1, date: "2031-03-01", race: "Harbour Grand Prix" },
  { season: 2031, round: 2, date: "2031-03-02", race: "Forest Grand Prix" },
]

const ratings = [1500, 1900, 1800, 1812]

const history = pastRaces.map((race, index) => ({ ...race, elo: ratings[index] ?? 0 }))

export const driver: DriverDetail = {
  ...ada,
  constructor: aurora,
  elo: 1812,
  elo_change: 41.6,
  wins: 1,
  podiums: 2,
  points: 43,
  position: 1,
  season: 2031,
  elo_history: history,
  results: pastRaces.map((race, index) => ({
    ...race,
    constructor: aurora,
    grid: index === 3 ? null : index + 1,
    position: index === 3 ? null : index + 1,
    status: index === 3 ? "dnf" : "finished",
    points: 25,
    win_probability: index < 2 ? null : 0.42,
  })),
}

export const team: ConstructorDetail = {
  ...aurora,
  drivers: [ada, ben, cleo],
  elo: 1700,
  elo_change: 20,
  wins: 1,
  podiums: 3,
  points: 61,
  position: 1,
  season: 2031,
  elo_history: history,
  results: pastRaces.map((race, index) => ({
    ...race,
    best_position: index === 3 ? null : 1,
    points: 25,
    win_probability: 0.61,
  })),
}

export const elo: EloSeries[] = [
  { id: ada.id, name: ada.name, points: points(1700, 1760, 1812) },
  { id: ben.id, name: ben.name, points: points(1850, 1845, 1840) },
  { id: cleo.id, name: cleo.name, points: points(1500, 1510, 1500) },
  { id: dan.id, name: dan.name, points: points(1400, 1395) },
  { id: "eve-lindt", name: "Eve Lindt", points: points(1380, 1370, 1360) },
  { id: "fay-moss", name: "Fay Moss", points: points(1300, 1310, 1320) },
]

function points(...values: number[]): EloSeries["points"] {
  return values.map((value, index) => ({ round: index + 1, date: `2031-03-0${index + 1}`, elo: value }))
}

export function past(round: number, changes: Partial<PastPrediction> = {}): PastPrediction {
  return {
    season: 2031,
    round,
    race: raceSummary(round).name,
    date: `2031-03-0${round}`,
    model_version: "m-7",
    predicted_winner: ada,
    probability: 0.55,
    winner: ada,
    winner_probability: 0.55,
    hit: true,
    podium_hits: 2,
    log_loss: 0.6,
    baseline_log_loss: 1.1,
    ...changes,
  }
}

export const performance: Performance = {
  predictions: [
    past(1),
    past(2, { winner: ben, winner_probability: 0.2, hit: false, log_loss: 1.61, baseline_log_loss: 1.2 }),
    past(3),
  ],
  totals: {
    races: 3,
    hits: 2,
    podium_hits: 6,
    winner_top1: 2 / 3,
    podium_precision: 2 / 3,
    log_loss: 0.937,
    baseline_log_loss: 1.133,
  },
}

export const noPerformance: Performance = {
  predictions: [],
  totals: {
    races: 0,
    hits: 0,
    podium_hits: 0,
    winner_top1: null,
    podium_precision: null,
    log_loss: null,
    baseline_log_loss: null,
  },
}

type Metrics = ModelCard["metrics"]

function scores(races: number, winner_log_loss: number, winner_top1: number): Metrics["model"] {
  return {
    races,
    winner_top1,
    podium_precision: 0.66,
    winner_log_loss,
    podium_log_loss: 0.21,
    brier: 0.46,
    ece: 0.02,
    favourite: { predicted: 0.65, observed: winner_top1 },
  }
}

function seasonScores(season: number, own: number, grid: number, form: number): Metrics["by_season"][number] {
  return {
    season,
    scores: [
      { name: "model", label: "model", scores: scores(22, own, 0.7) },
      { name: "grid", label: "how often the starting place won", scores: scores(22, grid, 0.6) },
      { name: "log-grid-form", label: "logit on log grid and form", scores: scores(22, form, 0.65) },
    ],
  }
}

export const model: ModelCard = {
  version: "m-7",
  trained_at: "2031-03-02T15:58:00Z",
  data_cutoff: "2031-02-20",
  git_sha: "0123abc",
  libraries: { xgboost: "3.1.1" },
  feature_schema_hash: "feedbeef",
  features: [
    { name: "driver_elo", label: "Driver rating", importance: 0.4 },
    { name: "grid", label: "Place on the grid", importance: 0.6 },
  ],
  experts: [
    { stage: "post-qualifying", name: "form", label: "Steady form", weight: 0.8 },
    { stage: "post-qualifying", name: "grid", label: "How often the starting place won", weight: 0.2 },
    { stage: "pre-weekend", name: "form", label: "Steady form", weight: 1 },
  ],
  metrics: {
    seasons: [2030, 2031],
    model: scores(44, 1, 0.7),
    baseline: scores(44, 1.1, 0.6),
    bootstrap: { draws: 2000, log_loss_difference: { low: -0.2, mid: -0.1, high: -0.01, mean: -0.1 } },
    baselines: [
      {
        name: "grid",
        label: "how often the starting place won",
        scores: scores(44, 1.1, 0.6),
        log_loss_difference: { low: -0.2, mid: -0.1, high: -0.01, mean: -0.1 },
      },
      {
        name: "log-grid-form",
        label: "logit on log grid and form",
        scores: scores(44, 1.04, 0.65),
        log_loss_difference: { low: -0.1, mid: -0.04, high: 0.02, mean: -0.04 },
      },
    ],
    by_season: [seasonScores(2030, 0.7, 1.2, 0.9), seasonScores(2031, 1.3, 1.0, 1.2)],
  },
  calibration: {
    model: [
      { bin_low: 0, bin_high: 0.1, predicted: 0.02, observed: 0.01, count: 600 },
      { bin_low: 0.3, bin_high: 0.4, predicted: 0.34, observed: 0.5, count: 20 },
    ],
    baseline: [{ bin_low: 0, bin_high: 0.1, predicted: 0.03, observed: 0.04, count: 620 }],
    favourites: [{ bin_low: 0.6, bin_high: 0.7, predicted: 0.65, observed: 0.7, count: 44 }],
  },
  demo: false,
  intended_use: "Chances before a race.",
  limits: ["It knows nothing of strategy."],
}

export function watched(changes: Partial<WatchedStage> = {}): WatchedStage {
  const race = (round: number, evidence: number): WatchedStage["races"][number] => ({
    season: 2031,
    round,
    race: raceSummary(round).name,
    date: `2031-03-0${round}`,
    model_version: "m-7",
    results_version: round,
    winner: ada,
    winner_probability: 0.55,
    log_loss: 0.6,
    baselines: { grid: 0.5, "log-grid": 0.9 },
    evidence,
  })
  return {
    stage: "post-qualifying",
    verdict: "undecided",
    since: null,
    alarm_at: 40,
    evidence: 1.25,
    evidence_better: 0.8,
    log_loss: 0.6,
    best: "grid",
    baselines: [
      {
        name: "grid",
        label: "how often the starting place won",
        races: 2,
        log_loss: 0.5,
        model_log_loss: 0.6,
      },
      { name: "log-grid", label: "logit on log grid", races: 2, log_loss: 0.9, model_log_loss: 0.6 },
    ],
    races: [race(1, 1.1), race(2, 1.25)],
    left_out: [],
    ...changes,
  }
}

export const monitoring: Monitoring = {
  judged_at: "2031-03-04T05:23:00Z",
  outdated: false,
  alpha: 0.05,
  model_version: "m-7",
  stages: [
    watched(),
    watched({
      stage: "pre-weekend",
      verdict: "no-data",
      log_loss: null,
      best: null,
      baselines: [],
      races: [],
    }),
  ],
  drift: {
    verdict: "too-little-data",
    because: "4 races that the model has not seen are needed, there are 2",
    cutoff: "2031-02-20",
    races: 2,
    rows: 0,
    reference: 0,
    windows: 0,
    features: [],
    corrections: [],
  },
  findings: [],
}
