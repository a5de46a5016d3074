import { useSyncExternalStore } from "react"
import * as z from "zod/mini"

const schema = z.object({
  token: z.string(),
  username: z.string(),
  /** Milliseconds since 1970. */
  expires: z.number(),
})

/** Who is signed in, and until when. */
export type Session = z.infer<typeof schema>

const key = "session"
const changes = new EventTarget()
let read: { text: string | null; session: Session | null } = { text: null, session: null }

/** The session of this browser, shared by its tabs: signing in in one of them helps a form that waits in another. */
export function currentSession(): Session | null {
  const text = localStorage.getItem(key)
  if (text !== read.text) read = { text, session: parse(text) }
  return read.session && read.session.expires > Date.now() ? read.session : null
}

export function startSession(session: Session): void {
  localStorage.setItem(key, JSON.stringify(session))
  changes.dispatchEvent(new Event("change"))
}

export function endSession(): void {
  localStorage.removeItem(key)
  changes.dispatchEvent(new Event("change"))
}

/** `currentSession`, followed as it changes. */
export function useSession(): Session | null {
  return useSyncExternalStore(subscribe, currentSession)
}

function subscribe(changed: () => void): () => void {
  changes.addEventListener("change", changed)
  // Told when another tab signs in or out.
  addEventListener("storage", changed)
  return () => {
    changes.removeEventListener("change", changed)
    removeEventListener("storage", changed)
  }
}

function parse(text: string | null): Session | null {
  if (text === null) return null
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    // Written by another version of the app: sign in again.
    return null
  }
}
