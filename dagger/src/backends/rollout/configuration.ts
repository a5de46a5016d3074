import { z } from "zod"
import { strategies } from "../../delivery/strategy.js"
import { section } from "../../lib/document.js"
import { configuredDuration } from "../../lib/duration.js"
import { leaseSeconds } from "../../delivery/lease.js"

const step = section({ weight: z.int().min(1).max(99), for: configuredDuration })

/** How a revision gets all traffic; see `dagger/config/deploy.yaml`. */
export const rolloutSection = section({
  strategy: z.enum(strategies),
  steps: z
    .array(step)
    .refine(
      (steps) => steps.every(({ weight }, at) => at === 0 || weight > (steps[at - 1]?.weight ?? 0)),
      "weights rise from step to step",
    ),
  progressDeadline: configuredDuration.refine(
    (seconds) => seconds > 0,
    "more than 0s, or no pod can be ready in time",
  ),
  prePromotion: configuredDuration,
  postPromotion: configuredDuration,
  scaleDownDelay: configuredDuration,
  abortDelay: configuredDuration,
  unattended: configuredDuration.refine(
    (seconds) => seconds >= leaseSeconds,
    `at least ${leaseSeconds}s: a deploy that is alive may renew its lease that late`,
  ),
}).refine(({ strategy, steps }) => strategy !== "canary" || steps.length > 0, {
  message: "a canary needs at least one step",
  path: ["steps"],
})

/** Durations in seconds, weights in percent. */
export type RolloutSettings = z.output<typeof rolloutSection>
