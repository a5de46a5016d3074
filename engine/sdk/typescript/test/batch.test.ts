import { expect, it } from "vitest"
import { batched } from "../src/batch.ts"

/** Answers every field with its own text. */
function echo() {
  const asked: string[] = []
  const ask = (query: string) => {
    asked.push(query)
    const fields = [...query.matchAll(/(q\d+): (\w+)/g)]
    return Promise.resolve(Object.fromEntries(fields.map(([, alias, field]) => [alias!, field])))
  }
  return { asked, ask: batched(ask) }
}

it("asks together what is asked at the same moment", async () => {
  const { asked, ask } = echo()
  expect(await Promise.all([ask("{ one { id } }"), ask("\n { two { id } } \n")])).toEqual([
    { q0: "one" },
    { q1: "two" },
  ])
  expect(asked).toEqual(["{ q0: one { id }  q1: two { id }  }"])
  expect(await ask("{ three }")).toEqual({ q2: "three" })
  expect(asked).toHaveLength(2)
})

it("asks the same thing once", async () => {
  const { asked, ask } = echo()
  expect(await Promise.all([ask("{ one }"), ask("{ one }")])).toEqual([{ q0: "one" }, { q0: "one" }])
  expect(await ask("{ one }")).toEqual({ q0: "one" })
  expect(asked).toHaveLength(1)
})

it("passes failures on to everyone who asked", async () => {
  const ask = batched(() => Promise.reject(new Error("gone")))
  const outcomes = await Promise.allSettled([ask("{ one }"), ask("{ two }")])
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"])
})
