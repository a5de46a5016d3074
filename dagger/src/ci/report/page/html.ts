import { isolated } from "../../../lib/text.js"

/** Safe markup, made by `html` only. */
export class Html {
  constructor(readonly markup: string) {}
}

type Part = string | number | Html | false | undefined | Part[]

/** Builds HTML with every value escaped for text and quoted attributes. Markup from `html` is inserted as it is. */
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
