import type { Sort } from "../api/api.tsx"

export const sorts = {
  relevance: "Best match",
  newest: "Newest",
  quickest: "Quickest",
  title: "A to Z",
} satisfies Record<Sort, string>

/** What someone looks for. */
export interface Search {
  words: string
  /** A recipe must have all of them. */
  tags: string[]
  sort: Sort
  /** From 1. */
  page: number
}

export const everything: Search = { words: "", tags: [], sort: "relevance", page: 1 }

/** Reads a search from a URL's query; what makes no sense there is left out. */
export function searchFrom(query: URLSearchParams): Search {
  const sort = query.get("sort") ?? ""
  const page = Number(query.get("page"))
  return {
    words: query.get("q")?.trim() ?? "",
    tags: [...new Set(query.getAll("tag"))].filter(Boolean).sort(),
    sort: Object.hasOwn(sorts, sort) ? (sort as Sort) : everything.sort,
    page: Number.isInteger(page) && page > 0 ? page : 1,
  }
}

/** The shortest URL query of a search, "" for everything. */
export function queryOf({ words, tags, sort, page }: Search): string {
  const query = new URLSearchParams()
  if (words) query.set("q", words)
  for (const tag of tags) query.append("tag", tag)
  if (sort !== everything.sort) query.set("sort", sort)
  if (page > 1) query.set("page", String(page))
  const text = query.toString()
  return text && `?${text}`
}

/** The same search, of recipes with the tag too, or without it when it was there; from the first page. */
export function withTagToggled(search: Search, tag: string): Search {
  const tags = search.tags.includes(tag)
    ? search.tags.filter((other) => other !== tag)
    : [...search.tags, tag].sort()
  return { ...search, tags, page: 1 }
}

/** Whether it asks for less than everything. */
export function isNarrow({ words, tags }: Search): boolean {
  return words !== "" || tags.length > 0
}

/** Page numbers to offer around the current one; null stands for those left out. */
export function pagesToOffer(page: number, pages: number): (number | null)[] {
  const near = [1, page - 1, page, page + 1, pages].filter((number) => number >= 1 && number <= pages)
  const offered = [...new Set(near)].sort((a, b) => a - b)
  return offered.flatMap((number, index) => {
    const previous = offered[index - 1] ?? number - 1
    if (number - previous === 2) return [number - 1, number]
    return number - previous > 2 ? [null, number] : [number]
  })
}
