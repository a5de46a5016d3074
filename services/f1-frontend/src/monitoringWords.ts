import type { Drift, Finding, WatchedStage } from "./api/types.ts"
import { count, integer, list, moment } from "./format.ts"

/** Sentences about monitoring, apart from the others because only one page needs them. Pure. */

/** When a stage is, at the start of a sentence. */
export function stageName(stage: WatchedStage["stage"]): string {
  return { "post-qualifying": "After qualifying", "pre-weekend": "Before qualifying" }[stage]
}

/** What the sequential test of a stage has proven so far. */
export function stageWords({ stage, verdict, races }: WatchedStage): string {
  const words = {
    "no-data": "no forecast that was kept before its race can be judged yet",
    undecided: `over ${count(races.length, "race")}, neither the model nor the baselines are proven to be better`,
    worse: `over ${count(races.length, "race")}, the model is proven to be worse than at least one baseline`,
    better: `over ${count(races.length, "race")}, the model is proven to be better than every baseline`,
  }[verdict]
  return `${stageName(stage)}: ${words}.`
}

/** Whether the inputs are what the model knows. Too little data is not the absence of drift. */
export function driftWords({ verdict, because, races, reference, features }: Drift): string {
  switch (verdict) {
    case "no-model":
      return "Inputs: no model serves, so there is nothing to compare with."
    case "too-little-data":
      return `Inputs: too little data to say anything. ${because ?? ""}.`
    case "no-drift":
      return `Inputs: the last ${count(races, "race")} that the model has not seen differ from the ${integer(reference)} before as much as is usual.`
    case "drift": {
      const drifted = features.filter((feature) => feature.drifted).map((feature) => feature.label)
      return `Inputs: the last ${count(races, "race")} that the model has not seen differ from the ${integer(reference)} before by more than is usual: ${list(drifted)}.`
    }
  }
}

/** What became of a finding. */
export function findingState({ state, answer, answered_at, ended_at }: Finding): string {
  switch (state) {
    case "open":
      return "open: the next training knows of it"
    case "answered":
      return `a training that knew of it ended${answered_at === null ? "" : ` on ${moment(answered_at)}`}: ${answer ?? ""}`
    case "replaced":
      return `over: another model serves${ended_at === null ? "" : ` since ${moment(ended_at)}`}`
    case "withdrawn":
      return `taken back${ended_at === null ? "" : ` on ${moment(ended_at)}`}: its evidence is gone`
  }
}
