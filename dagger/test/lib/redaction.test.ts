import { describe, expect, it } from "vitest"
import { redacted, secretsIn } from "../../src/lib/redaction.js"

// In parts: a scanner would take them for real ones.
const address = ["postgresql:/", "f1:hunter2%2Fhunter2@db:5432", "f1"].join("/")
const password = ["hunter2", "hunter2"].join("/")
const key = [
  "-----BEGIN EC PRIVATE",
  "KEY-----\nMHcCAQEEIBvLZ\nAwEHoUQDQgAE\n-----END EC PRIVATE",
  "KEY-----",
].join(" ")
const token = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "dBjftJeZ4CVP"].join(".")

describe("redacted", () => {
  it.each([
    ["a value", `cannot connect to ${address}`],
    ["the password of an address, decoded", `no access with "${password}"`],
    ["the password of an address, as it stands there", "no access with hunter2%2Fhunter2"],
    ["a value in a header", `Authorization: ${Buffer.from(password).toString("base64")}`],
    ["a value inside of another word", `x${password}y`],
  ])("removes %s", (_, text) => {
    const said = redacted(text, [address])
    expect(said).toContain("***")
    expect(said).not.toContain("hunter2")
    expect(said).not.toContain(Buffer.from(password).toString("base64"))
  })

  it("removes a value with line breaks as JSON writes it, and each of its lines", () => {
    const value = "first-secret-line\nsecond-secret-line"
    expect(redacted(JSON.stringify({ value }), [value])).toBe('{"value":"***"}')
    expect(redacted("bad: second-secret-line", [value])).toBe("bad: ***")
  })

  it("removes the whole of a value that begins like another", () => {
    expect(redacted("signed with secret-key-2", ["secret-key", "secret-key-2"])).toBe("signed with ***")
  })

  it.each([
    [
      "the password of any address",
      "redis://:s3cr3t@cache:6379/0 refused",
      "redis://:***@cache:6379/0 refused",
    ],
    ["a token", `invalid: ${token}.`, "invalid: ***."],
    ["a header", "authorization: Bearer abcdefgh.ijkl==", "authorization: Bearer ***"],
    ["a private key", `loaded ${key} twice`, "loaded *** twice"],
    ["a private key that is cut off", key.slice(0, 60), "***"],
  ])("removes %s that nobody named", (_, text, expected) => {
    expect(redacted(text, [])).toBe(expected)
  })

  it.each([
    ["short values", "listens on 5432: true", ["5432", "true", ""]],
    ["addresses without a password", "GET https://api.example.com/a:b@c", [address]],
    ["a percent sign alone", "100 %", [["postgresql:/", "f1:50%@db", "f1"].join("/")]],
  ])("leaves %s", (_, text, secrets) => {
    expect(redacted(text, secrets)).toBe(text)
  })

  it("takes a time linear in the length of a log", () => {
    const log = ["a://", "b:", "eyJ ", "bearer ", "-----BEGIN "].map((part) => part.repeat(50_000)).join("\n")
    expect(redacted(log, ["a-long-secret"])).toBe(log)
  })
})

describe("secrets in a text", () => {
  const secrets = {
    DATABASE_URL: ["postgresql:/", "recipes:p%40ss-w0rd@db", "recipes"].join("/"),
    TOKEN: 'a"quoted"-token',
    SHORT: "abc-123",
    WORD: "password",
    OTHER: "not-in-there-1",
  }

  it.each([
    [`x ${secrets.DATABASE_URL} y`, ["DATABASE_URL"]],
    ["the password is p@ss-w0rd", ["DATABASE_URL"]],
    [`{"token":"a\\"quoted\\"-token"}`, ["TOKEN"]],
    [`${Buffer.from(secrets.TOKEN).toString("base64")} ${secrets.OTHER}`, ["TOKEN", "OTHER"]],
    ["abc-123, a password", []],
    ["", []],
  ])("are found by name in %j", (text, names) => {
    expect(secretsIn(text, secrets)).toEqual(names)
  })
})
