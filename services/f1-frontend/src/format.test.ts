import { describe, expect, it } from "vitest"
import {
  count,
  countdown,
  day,
  daysUntil,
  decimal,
  integer,
  list,
  moment,
  ordinal,
  percent,
  shortDay,
  signed,
  surname,
} from "./format.ts"

describe("numbers", () => {
  it.each([
    [0, "0%"],
    [0.004, "<1%"],
    [0.01, "1%"],
    [0.346, "35%"],
    [0.99, "99%"],
    [0.996, ">99%"],
    [1, "100%"],
  ])("writes the probability %d as %s", (probability, text) => {
    expect(percent(probability)).toBe(text)
  })

  it("separates thousands and rounds", () => {
    expect(integer(1812.6)).toBe("1,813")
  })

  it("has a true minus sign", () => {
    expect(decimal(-1.005, 1)).toBe("\u22121.0")
    expect(decimal(0.5)).toBe("0.50")
  })

  it.each([
    [41.6, 0, "+42"],
    [-3, 0, "\u22123"],
    [0, 0, "0"],
    [-0.04, 1, "0.0"],
    [-0.113, 3, "\u22120.113"],
  ])("signs the change %d with %d decimals as %s", (value, digits, text) => {
    expect(signed(value, digits)).toBe(text)
  })

  it.each([
    [1, "1st"],
    [2, "2nd"],
    [3, "3rd"],
    [11, "11th"],
    [21, "21st"],
  ])("says %d as %s", (value, text) => {
    expect(ordinal(value)).toBe(text)
  })

  it("counts in singular and plural", () => {
    expect(count(1, "race")).toBe("1 race")
    expect(count(1200, "race")).toBe("1,200 races")
    expect(count(0, "try", "tries")).toBe("0 tries")
  })
})

describe("dates", () => {
  it("are days in UTC wherever the reader is", () => {
    expect(day("2031-03-01")).toBe("1 March 2031")
    expect(shortDay("2031-03-01")).toBe("1 Mar")
    expect(moment("2031-03-02T16:05:00Z")).toBe("2 Mar 2031, 16:05 UTC")
  })

  const now = new Date("2031-03-01T23:30:00Z")
  it.each([
    ["2031-03-01", 0, "today"],
    ["2031-03-02", 1, "tomorrow"],
    ["2031-02-28", -1, "yesterday"],
    ["2031-03-11", 10, "in 10 days"],
    ["2030-03-01", -365, "365 days ago"],
  ])("counts from late on 1 March 2031 to %s: %d, %s", (date, days, words) => {
    expect(daysUntil(date, now)).toBe(days)
    expect(countdown(date, now)).toBe(words)
  })
})

describe("names", () => {
  it("drops the given name only", () => {
    expect(surname("Ben de Vos")).toBe("de Vos")
    expect(surname("Zico")).toBe("Zico")
  })

  it("lists with commas and an and", () => {
    expect(list(["A", "B", "C"])).toBe("A, B and C")
  })
})
