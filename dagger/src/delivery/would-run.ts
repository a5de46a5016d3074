import type { WouldRun } from "./component.js"
import { secretsDigest } from "./guards/digest.js"
import { digestOf } from "./release.js"

/**
 * What a new revision of a component runs.
 *
 * @param component.settings their digest, for the names of its secrets
 * @param secrets their values by name
 */
export function wouldRunWith(
  component: { namespace: string; name: string; settings: (secretNames: string[]) => string },
  image: string,
  secrets: Record<string, string>,
): WouldRun {
  const { namespace, name, settings } = component
  const secretNames = Object.keys(secrets).sort()
  return {
    image,
    digest: digestOf(image),
    secretNames,
    contents: { settings: settings(secretNames), secrets: secretsDigest(`${namespace}/${name}`, secrets) },
  }
}
