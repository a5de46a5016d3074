type Ask = (query: string) => Promise<Record<string, unknown>>

/** Sends requests of the same moment as one query, and equal requests once. */
export function batched(ask: Ask): Ask {
  const answers = new Map<string, ReturnType<Ask>>()
  const fields: string[] = []
  let batch: ReturnType<Ask> | undefined

  const send = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    batch = undefined
    return ask(`{ ${fields.splice(0).join(" ")} }`)
  }
  return (query) => {
    const known = answers.get(query)
    if (known !== undefined) return known
    const alias = `q${answers.size}`
    // Of "{ typeDef { … } }", "q7: typeDef { … }" can stand beside others.
    fields.push(
      query
        .trim()
        .replace(/^\{\s*/, `${alias}: `)
        .replace(/\}$/, ""),
    )
    batch ??= send()
    const answer = batch.then((all) => ({ [alias]: all[alias] }))
    answers.set(query, answer)
    return answer
  }
}
