import { describe, expect, it } from "vitest"
import { readSecrets, secretEntry } from "../../src/environments/secrets.js"

describe("readSecrets", () => {
  it("reads lines as a .env file has them", () => {
    const text = `
# staging
STAGING_DATABASE_URL="postgresql://u:p@db/recipes?options=a#b"
export STAGING_REDIS_URL=redis://redis
SNYK_TOKEN=
`
    expect(readSecrets(text)).toEqual({
      STAGING_DATABASE_URL: "postgresql://u:p@db/recipes?options=a#b",
      STAGING_REDIS_URL: "redis://redis",
    })
  })

  it("has nothing in an empty file", () => {
    expect(readSecrets("")).toEqual({})
  })

  it("names what it does not know, what is allowed, and never a value", () => {
    const read = () => readSecrets("DATABASE_URL=postgresql://secret\nSTAGIN_REDIS_URL=hush\n")
    expect(read).toThrow(
      "the secrets file has DATABASE_URL, STAGIN_REDIS_URL; allowed: STAGING_DATABASE_URL,",
    )
    expect(read).not.toThrow(/secret:|hush/)
  })
})

describe("secretEntry", () => {
  it("begins with the environment where each has its own", () => {
    expect(secretEntry("F1_DATABASE_URL", "production")).toBe("PRODUCTION_F1_DATABASE_URL")
    expect(secretEntry("ERGAST_API_KEY", "staging")).toBe("ERGAST_API_KEY")
  })
})
