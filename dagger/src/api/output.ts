import { func, object } from "@dagger.io/dagger"

/** A result for people and for programs. */
@object()
export class Output {
  /** The result as text for a terminal. */
  @func()
  text: string

  /** The result as JSON. */
  @func()
  json: string

  constructor(text: string, json: string) {
    this.text = text
    this.json = json
  }
}

export function outputOf(text: string, value: unknown): Output {
  return new Output(text, JSON.stringify(value, undefined, 2))
}
