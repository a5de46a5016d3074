import { isolated } from "../../../lib/text.js"

/** Markup that is known to be safe: made by `html` alone. */
export class Html {
  constructor(readonly markup: string) {}
}

type Part = string | number | Html | false | undefined | Part[]

/** HTML in which every value is escaped, in text and in quoted attributes; markup of `html` stands as it is. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(
    strings.reduce(
      (markup, string, at) => markup + string + (at < parts.length ? rendered(parts[at]) : ""),
      "",
    ),
  )
}

function rendered(part: Part): string {
  if (part === false || part === undefined) return ""
  if (part instanceof Html) return part.markup
  if (Array.isArray(part)) return part.map(rendered).join("")
  return isolated(String(part))
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;")
}
