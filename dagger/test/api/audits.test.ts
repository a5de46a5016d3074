import { expect, it } from "vitest"
import { auditsFolder } from "../../src/api/audits.js"
import { auditOf, type KeptAudit } from "../../src/frontends/audit.js"
import type { NewestAudit } from "../../src/frontends/frontend.js"
import { auditFiles, type AuditRun, type AuditViolation } from "../frontends/fixtures.js"

const release = "a".repeat(40)
const other = "b".repeat(40)
const asked = { release, paths: ["/"], runs: 5 }
const violation: AuditViolation = {
  ...{ id: "image-alt", impact: "critical", help: "Images must have <alternative> text" },
  places: ["main > img"],
}
const files = ["audit.json", "report.md", "1-mobile.png", "1-desktop.png"]
const found = (run: Partial<AuditRun> = {}, violations: AuditViolation[] = []) =>
  auditOf(auditFiles(asked, { run: () => run, violations }), asked)

const audit = (
  kept: Partial<KeptAudit>,
  { live = release, missing = [] as string[], app = "web" } = {},
): NewestAudit => ({
  ...{ app, found: "audit", release, live, missing, at: Date.UTC(2026, 2, 2, 10) },
  audit: { ...found(), ...kept },
  files: new Map(
    files.filter((one) => !missing.includes(one)).map((one) => [one, Buffer.from(`${app}/${one}`)]),
  ),
})

function composed(...all: NewestAudit[]) {
  const folder = auditsFolder("staging", all)
  const text = (path: string) => {
    const file = folder.get(path)
    if (typeof file !== "string") throw new Error(`${path} is no text`)
    return file
  }
  return { folder, page: text("index.html"), summary: text("summary.md") }
}

it("has the files of each app beside a page and a summary", () => {
  const { folder, page, summary } = composed(
    audit({ faults: [] }),
    audit({ faults: [] }, { app: "f1-frontend" }),
  )
  expect([...folder.keys()]).toEqual([
    "index.html",
    "summary.md",
    ...["web", "f1-frontend"].flatMap((app) => files.map((name) => `${app}/${name}`)),
  ])
  expect(folder.get("web/1-mobile.png")).toEqual(Buffer.from("web/1-mobile.png"))
  // Every file that the page links is there.
  const linked = [...page.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path = ""]) => path)
  expect(new Set(linked)).toEqual(new Set([...folder.keys()].filter((path) => path.includes("/"))))
  expect(summary).toContain("## web: passed")
  expect(summary).toContain(`Release \`${release}\`, 2026-03-02 10:00 UTC; visitors have it.`)
  expect(page).toContain("visitors have it")
})

it("shows what differs from the release that was live, and why a release was refused", () => {
  const { page, summary } = composed(
    audit(
      {
        ...found({ performance: 0.5 }, [violation]),
        faults: ["/ on mobile has performance 50; at least 90 is allowed"],
        before: { release: other, ...found() },
      },
      { live: other },
    ),
  )
  expect(summary).toContain("## web: refused")
  expect(summary).toContain(`visitors have release ${other}`)
  expect(summary).toContain("| /, mobile | 50 (97) |")
  expect(summary).toContain("- / on mobile has performance 50; at least 90 is allowed")
  expect(page).toContain("50 (97)")
  expect(page).toContain("/ on mobile has performance 50; at least 90 is allowed")
  expect(page).toContain(`In brackets: release ${other}`)
  expect(page).toContain("Images must have &lt;alternative&gt; text")
  expect(page).toContain("<code>main &gt; img</code>")
})

it("says of an audit that cannot be read that it cannot, and of one that is not whole what is missing", () => {
  const { folder, page, summary } = composed(
    { app: "web", found: "unreadable", reason: "cannot list audits/: AccessDenied <x>" },
    { app: "shop", found: "none", reason: "no release was audited yet" },
    audit({ faults: [] }, { app: "f1-frontend", missing: ["1-mobile.png"] }),
    audit({}, { app: "old" }),
  )
  expect(summary).toContain("## web: cannot be read\n\ncannot list audits/: AccessDenied")
  expect(summary).toContain("## shop: no audit\n\nno release was audited yet")
  expect(summary).toContain("## f1-frontend: incomplete")
  expect(summary).toContain("1-mobile.png is missing")
  expect(summary).toContain("## old: incomplete")
  expect(summary).not.toContain(": passed")
  expect(page).toContain("cannot list audits/: AccessDenied &lt;x&gt;")
  expect(page).toContain("no release was audited yet")
  expect(page).not.toContain('"f1-frontend/1-mobile.png"')
  expect([...folder.keys()].some((path) => path.startsWith("web/"))).toBe(false)
})

it("says that an environment has no web app", () => {
  const { page, summary } = composed()
  expect(summary).toBe("# Audits of staging\n\nstaging has no web app.\n")
  expect(page).toContain("staging has no web app.")
})
