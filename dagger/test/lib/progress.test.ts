import { afterEach, expect, it, vi } from "vitest"
import { reportProgress } from "../../src/lib/progress.js"

afterEach(() => {
  vi.restoreAllMocks()
})

it.each(["a\r::error::b", "a\n::add-mask::b", "a ##[error]b", `a${String.fromCharCode(27)}[31mb`])(
  "prints no command of GitHub's runner and no colour: %j",
  (text) => {
    const print = vi.spyOn(console, "log").mockImplementation(() => undefined)
    reportProgress(text)
    const lines = print.mock.calls.flatMap((call) => String(call[0]).split(/[\r\n]/))
    expect(lines.join("|")).not.toMatch(new RegExp(`##\\[|${String.fromCharCode(27)}`))
    for (const line of lines) expect(line).toMatch(/^\[pitwall\] /)
  },
)
