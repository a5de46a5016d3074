import { z } from "zod"
import { oneLine } from "../lib/text.js"

/** A run of a workflow, by GitHub's own word. */
export interface GithubRun {
  /** The workflow and its ref, such as `https://github.com/owner/repository/.github/workflows/pipeline.yml@refs/heads/main`. */
  identity: string
  issuer: string
  /** Address of the repository. */
  repository: string
  commit: string
  /** Address of the run. */
  invocation: string
  /** A token that proves all this to Sigstore. */
  token: () => Promise<string>
}

const claims = z.looseObject({
  iss: z.url(),
  exp: z.number(),
  job_workflow_ref: z.string(),
  repository: z.string(),
  sha: z.string(),
  run_id: z.string(),
  run_attempt: z.string(),
  server_url: z.url().optional(),
})

/** Milliseconds. A token that is valid for less is not used. */
const margin = 60_000

/**
 * Asks GitHub who the present job is.
 *
 * @param url,bearer what GitHub gives the job; its variables ACTIONS_ID_TOKEN_REQUEST_URL and …_TOKEN
 * @throws Error when GitHub gives no token
 */
export async function githubRun(url: string, bearer: string): Promise<GithubRun> {
  let last = await fetchToken(url, bearer)
  const { iss, job_workflow_ref: workflow, repository, sha, run_id: id, run_attempt: attempt } = last.claims
  const server = last.claims.server_url ?? "https://github.com"
  return {
    identity: `${server}/${workflow}`,
    issuer: iss,
    repository: `${server}/${repository}`,
    commit: sha,
    invocation: `${server}/${repository}/actions/runs/${id}/attempts/${attempt}`,
    token: async () => {
      if (last.claims.exp * 1_000 < Date.now() + margin) last = await fetchToken(url, bearer)
      return last.token
    },
  }
}

async function fetchToken(
  url: string,
  bearer: string,
): Promise<{ token: string; claims: z.output<typeof claims> }> {
  const address = new URL(url)
  address.searchParams.set("audience", "sigstore")
  const refuse = (why: string, cause?: unknown): never => {
    throw new Error(
      `GitHub gives the job no token to sign with: ${why}; the job needs the permission id-token: write`,
      { cause },
    )
  }
  const answer = await fetch(address, {
    headers: { authorization: `Bearer ${bearer}`, accept: "application/json" },
    signal: AbortSignal.timeout(30_000),
  }).catch((error: unknown) => refuse(oneLine((error as Error).message), error))
  const text = await answer.text()
  if (!answer.ok) refuse(`${answer.status} ${oneLine(text)}`)
  const token = z.object({ value: z.string() }).safeParse(jsonOf(text)).data?.value ?? ""
  const [, payload = ""] = token.split(".")
  const read = claims.safeParse(jsonOf(Buffer.from(payload, "base64url").toString()))
  if (!read.success) return refuse("what it answers is no token of a job")
  return { token, claims: read.data }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
