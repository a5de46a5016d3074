import { describe, expect, it } from "vitest"
import { identitiesOf, identityOfUser } from "../../../src/delivery/guards/identities.js"
import { identities } from "./policy.js"

const known = identities(`
- name: Ada Lovelace
  emails: [ada@example.com, Ada@Old.example.com]
  github: [ada-l]
  kubernetes: [ada@corp, "arn:aws:iam::1:user/ada"]
- { name: Grace, github: [grace] }
- { name: dependabot, github: ["dependabot[bot]"], bot: true }
- { name: GitHub, emails: [noreply@github.com], bot: true }
`)
const byEmail = (email: string) =>
  identitiesOf({ name: "Somebody", email, commit: "1".repeat(40) }, known).map(({ name }) => name)
const byName = (named: string) => identitiesOf({ named }, known).map(({ name }) => name)

describe("identitiesOf", () => {
  it.each([
    ["ada@example.com", "Ada Lovelace"],
    [" ADA@old.example.com", "Ada Lovelace"],
    ["12345+ada-l@users.noreply.github.com", "Ada Lovelace"],
    ["Ada-L@users.noreply.github.com", "Ada Lovelace"],
    ["49699333+dependabot[bot]@users.noreply.github.com", "dependabot"],
    ["noreply@github.com", "GitHub"],
  ])("finds the author of %s", (email, name) => {
    expect(byEmail(email)).toEqual([name])
  })

  it.each([
    "",
    "ada",
    "ada-l",
    "Ada Lovelace",
    "ada@example.com.evil.org",
    "ada-l@users.noreply.github.com.evil.org",
    "1+grace+ada-l@users.noreply.github.com",
    "+grace@users.noreply.github.com",
    "grace@noreply.github.com",
  ])("does not take %j for somebody known", (email) => {
    expect(byEmail(email)).toEqual([])
  })

  it("finds whom a command names by any of their names, and nobody else", () => {
    for (const name of ["ada-l", "ada@example.com", "ada@corp", "ada lovelace"])
      expect(byName(name)).toEqual(["Ada Lovelace"])
    expect(byName("ada")).toEqual([])
    expect(byName("")).toEqual([])
  })
})

describe("identityOfUser", () => {
  it("knows the names of the cluster and no others", () => {
    expect(identityOfUser("arn:aws:iam::1:user/ada", known)?.name).toBe("Ada Lovelace")
    expect(identityOfUser("ada-l", known)).toBeUndefined()
    expect(identityOfUser("", known)).toBeUndefined()
  })
})

describe("identitiesSection", () => {
  it.each([
    ["[{ name: Ada }]", "at least one of emails, github and kubernetes"],
    ["[{ name: Ada, emails: [''] }]", "0.emails.0"],
    ["[{ name: Ada, emails: [a@b.c] }, { name: Bob, emails: [A@b.c] }]", '"A@b.c" is of Ada already'],
    ["[{ name: Ada, github: [x, X] }]", '"X" is of Ada already'],
    ["[{ name: Ada, kubernetes: [x] }, { name: ada, github: [x] }]", '"ada" is of Ada already'],
    ["[{ name: Ada, email: a@b.c }]", "no such key: email; allowed: name, emails, github, kubernetes, bot"],
  ])("refuses %s", (yaml, message) => {
    expect(() => identities(yaml)).toThrow(message)
  })
})
