import { writeFile } from "node:fs/promises"
import { batched } from "./batch.ts"
import { connection, dag, Register, scan } from "./client.ts"
import { bundleFile } from "./files.ts"

const [src, output] = process.argv.slice(2) as [string, string]
await connection(async () => {
  const types = await scan([bundleFile(src)])
  const register = new Register(types)

  // The SDK requests the id of every type and source location, one after another: hundreds of requests.
  // Requesting all functions at once first answers most of them from memory.
  const client = dag.getGQLClient()
  client.request = batched(client.request.bind(client)) as typeof client.request
  const functions = [
    ...Object.values(types.objects).map(({ methods }) => methods),
    ...Object.values(types.interfaces).map(({ functions }) => functions),
  ].flatMap((byName) => Object.values(byName))
  await Promise.all(functions.map((each) => register.addFunction(each).id()))

  await writeFile(output, JSON.stringify(await register.run()))
})
