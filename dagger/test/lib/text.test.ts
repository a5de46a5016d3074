import { describe, expect, it } from "vitest"
import { fileName, inRepository, link } from "../../src/ci/report/paths.js"
import { clip, duration, percent, tail } from "../../src/lib/text.js"

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

describe("numbers", () => {
  it("are never better than they are", () => {
    expect(percent(79.999)).toBe("79.9 %")
    expect(percent(100)).toBe("100.0 %")
    expect(percent((0.29 / 1) * 100)).toBe("29.0 %")
  })

  it.each([
    [0.002, "2 ms"],
    [12.34, "12.3 s"],
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
