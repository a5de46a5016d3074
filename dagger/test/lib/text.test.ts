import { describe, expect, it } from "vitest"
import { timeOf } from "./time-of.js"
import { fileName, inRepository, link } from "../../src/ci/report/paths.js"
import {
  clip,
  columns,
  duration,
  isolated,
  oneLine,
  percent,
  plain,
  rateText,
  tail,
} from "../../src/lib/text.js"

describe("tail", () => {
  it("is the end, and says how much stands above", () => {
    const output = Array.from({ length: 50 }, (_, at) => `line ${at + 1}`).join("\n")
    const lines = tail(output, 40).split("\n")
    expect(lines).toHaveLength(40)
    expect(lines[0]).toBe("… 10 lines above")
    expect(lines.at(-1)).toBe("line 50")
    expect(tail("a\nb\n", 40)).toBe("a\nb")
  })

  it("copes with a huge output, and with one endless line", () => {
    expect(tail("x\n".repeat(5_000_000), 40).split("\n")).toHaveLength(40)
    expect(tail("x".repeat(50_000_000), 40).length).toBeLessThan(600)
  })
})

describe("plain", () => {
  const character = (code: number) => String.fromCodePoint(code)

  it.each([
    "::error::owned",
    "  ::add-mask::x",
    "\t::stop-commands::x",
    `${character(0xa0)}${character(0x3000)}::error::x`,
    "fine\n::error::owned",
    "fine\r::error::owned",
    "fine\r\n \n::error::owned",
    `${character(27)}[31m::error::owned${character(27)}[0m`,
    `${character(0)}::error::owned`,
    `${character(0x202e)}::error::owned`,
    `${character(0x2028)}::error::owned`,
    "##[error]owned",
    "text ##[add-path]/tmp",
    "###[group]x",
  ])("leaves no workflow command active: %j", (text) => {
    for (const shown of [plain(text), tail(text, 10), oneLine(text), columns([[text]])]) {
      expect(shown).not.toMatch(/^\s*::/mu)
      expect(shown).not.toContain("##[")
      expect(shown.replace(/\s/g, "")).toContain(text.includes("##[") ? "[" : "::")
    }
  })

  it("does not change other text", () => {
    for (const text of ["std::vector", "tests/a.py::test_b", ": a", "# heading", "a ::b"])
      expect(plain(text)).toBe(text)
  })

  it("takes out marks that turn the direction of text", () => {
    const marks = [0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069].map(
      character,
    )
    expect(plain(`a${marks.join("")}b`)).toBe("ab")
  })

  it("takes time that grows with the text", () => {
    for (const text of [" ", "\n", "\n ", ":", `${character(27)}[0;`, `${character(27)}]x`, "##", "\r"]) {
      expect(timeOf(() => plain(text.repeat(300_000)))).toBeLessThan(5000)
    }
  })
})

describe("text from right to left", () => {
  it("is wrapped in isolates, so that it does not reorder its neighbours", () => {
    expect(isolated("מבחן 1")).toBe("\u2068מבחן 1\u2069")
    expect(isolated("اختبار")).toBe("\u2068اختبار\u2069")
    expect(isolated("Pérez 佐藤")).toBe("Pérez 佐藤")
    expect(columns([["api:test", "מבחן", "12.3 s"]])).toBe("api:test  \u2068מבחן\u2069  12.3 s")
  })
})

describe("columns", () => {
  it("keeps a row on one line, whatever is in its cells", () => {
    expect(
      columns([
        ["a", "b"],
        ["c\n::error::d", "e"],
      ]).split("\n"),
    ).toHaveLength(2)
  })
})

describe("numbers", () => {
  it("are never better than they are", () => {
    expect(percent(79.999)).toBe("79.9 %")
    expect(percent(99.96)).toBe("99.9 %")
    expect(percent(100)).toBe("100.0 %")
    expect(percent((0.29 / 1) * 100)).toBe("29.0 %")
  })

  it.each([
    [0, "0 %"],
    [0.04, "< 0.1 %"],
    [0.44, "0.4 %"],
    [99.94, "99.9 %"],
    [99.96, "> 99.9 %"],
    [100, "100 %"],
  ])("writes a rate of %f as %s", (rate, text) => {
    expect(rateText(rate)).toBe(text)
  })

  it.each([
    [0.002, "2 ms"],
    [12.34, "12.3 s"],
    [59.94, "59.9 s"],
    [59.97, "1 min 00 s"],
    [125, "2 min 05 s"],
  ])("reads %f seconds as %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text)
  })

  it("does not cut a character in two", () => {
    expect(clip("ab🏎️cd", 4)).toBe("ab…")
  })
})

describe("inRepository", () => {
  it.each([
    ["tests/a.py", "services/api", "services/api/tests/a.py"],
    ["services/api/tests/a.py", "services/api", "services/api/tests/a.py"],
    ["/services/api/tests/a.py", "services/api", "services/api/tests/a.py"],
    ["/src/services/frontend-kit/a.ts", "services/web", "services/frontend-kit/a.ts"],
    ["../frontend-kit/a.ts", "services/web", "services/frontend-kit/a.ts"],
    ["./a//b.ts", "", "a/b.ts"],
    ["file:///services/api/a.py", "services/api", "services/api/a.py"],
    ["../../../etc/passwd", "services/web", undefined],
    ["/usr/lib/python3.11/json.py", "services/api", undefined],
    ["/services/web/node_modules/x/a.js", "services/web", undefined],
    ["", "", undefined],
  ])("%s in %s is %s", (path, folder, expected) => {
    expect(inRepository(path, folder)).toBe(expected)
  })
})

describe("fileName", () => {
  it("is one that every file system and GitHub's artifacts take, and no two gates share", () => {
    expect(fileName("f1-backend:test")).toBe("f1-backend.test")
    const gates = ["a:b", "a.b", "a/b", "../a", "a b", "a_b", "a\u0000", "é"]
    expect(new Set(gates.map(fileName)).size).toBe(gates.length)
    expect(gates.map(fileName).join("")).toMatch(/^[A-Za-z0-9._-]+$/)
    expect(fileName("..")).not.toBe("..")
  })
})

describe("link", () => {
  it("stays below its folder", () => {
    expect(link("../../etc/../a b", "c#?.png")).toBe("etc/a%20b/c%23%3F.png")
    expect(link("javascript:alert(1)//x")).toBe("javascript%3Aalert(1)/x")
    expect(link("\ud800.png")).toBe("%EF%BF%BD.png")
  })
})
