import type { Outcome } from "../../runner/verdict.js"
import { html, type Html } from "./html.js"

export const signs: Record<Outcome, string> = { passed: "✓", failed: "✗", "could not run": "!", skipped: "–" }

export const tones: Record<Outcome, string> = {
  passed: "good",
  failed: "bad",
  "could not run": "odd",
  skipped: "idle",
}

export function badge(outcome: Outcome): Html {
  return html`<span class="badge ${tones[outcome]}"
    ><span class="sign" aria-hidden="true">${signs[outcome]}</span>${outcome}</span
  >`
}

/** The id of the part of the page about a gate that did not pass. */
export function anchor(gate: string): string {
  return `gate-${gate.replace(/[^A-Za-z0-9-]+/g, "-")}`
}

export function bar(share: number, tone: string, threshold?: number): Html {
  const width = Math.min(1, Math.max(0, share)) * 100
  return html`<svg class="share-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect class="track" width="100" height="8" rx="1" />
    <rect class="${tone}" width="${width.toFixed(2)}" height="8" rx="1" />
    ${threshold !== undefined && html`<line class="goal" x1="${threshold}" x2="${threshold}" y1="0" y2="8" />`}
  </svg>`
}
