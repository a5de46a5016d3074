import type { components } from "./schema.ts"

type Schemas = components["schemas"]

export type CalibrationBin = Schemas["CalibrationBin"]
export type ConstructorDetail = Schemas["ConstructorDetail"]
export type ConstructorRow = Schemas["ConstructorRow"]
export type Contribution = Schemas["Contribution"]
export type DriverDetail = Schemas["DriverDetail"]
export type DriverRow = Schemas["DriverRow"]
export type EloPoint = Schemas["EloPoint"]
export type EloSeries = Schemas["EloSeries"]
export type ModelCard = Schemas["ModelCard"]
export type PastPrediction = Schemas["PastPrediction"]
export type Performance = Schemas["Performance"]
export type Prediction = Schemas["Prediction"]
export type RaceDetail = Schemas["RaceDetail"]
export type RaceSummary = Schemas["RaceSummary"]
export type Weather = Schemas["Weather"]
