const mask = "***"
/** Shorter values are words such as "true" or a port: to mask them would hide what a log says. */
const shortest = 6

// Credentials that a program made or was given elsewhere, by their usual forms.
const addressPassword = /(?<=\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s/@]+(?=@)/gi
const token = /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g
const bearer = /(?<=\b(?:bearer|basic)\s)[\w.~+/-]{8,}=*/gi
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g

/**
 * Replaces secrets by `***`: the given values, in the forms in which programs print them, and what looks like a password of an address, a token or a private key.
 *
 * @param secrets values shorter than six characters stay
 */
export function redacted(text: string, secrets: readonly string[]): string {
  const forms = [...new Set(secrets.flatMap(formsOf))].filter((form) => form.length >= shortest)
  // Longest first: a value can be a part of another.
  forms.sort((one, other) => other.length - one.length)
  const without = forms.reduce((rest, form) => rest.replaceAll(form, mask), text)
  return without
    .replace(privateKey, mask)
    .replace(addressPassword, mask)
    .replace(token, mask)
    .replace(bearer, mask)
}

/** Values that are shorter, or of letters alone, may be words of any text. */
const shortestFound = 8

/**
 * Secrets that a text contains, in the forms in which programs print them.
 *
 * @param secrets values by name; those that are shorter than eight characters, or of letters alone, are not looked for
 * @returns their names
 */
export const secretsIn = (text: string, secrets: Readonly<Record<string, string>>): string[] =>
  Object.entries(secrets)
    .filter(([, value]) =>
      formsOf(value).some(
        (form) => form.length >= shortestFound && !/^[A-Za-z]+$/.test(form) && text.includes(form),
      ),
    )
    .map(([name]) => name)

function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/)
  const parts = [value, value.trim(), ...(lines.length > 1 ? lines.map((line) => line.trim()) : [])]
  const password = passwordOf(value)
  return [...parts, ...(password === undefined ? [] : [password, decoded(password)])].flatMap((part) => [
    part,
    // In a line of JSON, in an address, and in a header.
    JSON.stringify(part).slice(1, -1),
    encodeURIComponent(part),
    Buffer.from(part).toString("base64"),
  ])
}

function passwordOf(value: string): string | undefined {
  return URL.canParse(value.trim()) ? new URL(value.trim()).password || undefined : undefined
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a lone "%"
  }
}
