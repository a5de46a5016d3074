import { act, render } from "@testing-library/react"
import { expect, test, vi } from "vitest"
import { nth, randomFrom } from "./random.ts"
import { PastaArt } from "./PastaArt.tsx"
import { Extra, Piece } from "./shapes.tsx"
import { subjectOf, type Garnish, type Shape } from "./subject.ts"

const recipe = (title: string, more: Partial<Parameters<typeof subjectOf>[0]> = {}) => ({
  slug: title,
  title,
  summary: "",
  tags: [],
  ...more,
})

test("numbers follow from the text, lie in [0, 1) and differ", () => {
  const numbers = (text: string) => Array.from({ length: 200 }, randomFrom(text))
  expect(numbers("a")).toEqual(numbers("a"))
  expect(numbers("a")).not.toEqual(numbers("b"))
  expect(new Set(numbers("a")).size).toBe(200)
  for (const number of numbers("a")) expect(number >= 0 && number < 1).toBe(true)
})

test("nth goes round, and refuses nothing to choose from", () => {
  expect(nth(["a", "b"], 3)).toBe("b")
  expect(() => nth([], 0)).toThrow(RangeError)
})

test.each([
  ["Spaghetti alle vongole", { kind: "strands", width: 5.5 }, ["clam", "garlic"]],
  ["Tagliatelle al ragù", { kind: "strands", width: 11 }, ["tomato"]],
  ["Lasagne alla bolognese", { kind: "sheets" }, ["tomato"]],
  ["Baked ziti with sausage", { kind: "pieces", shape: "penne" }, ["basil"]],
  ["Orecchiette with anchovies and chilli", { kind: "pieces", shape: "orecchiette" }, ["fish", "chilli"]],
])("%s is drawn as what it is", (title, pasta, garnishes) => {
  expect(subjectOf(recipe(title))).toMatchObject({ pasta, garnishes })
})

test("the title says more than the summary, and the summary more than nothing", () => {
  const summary = "Penne would do too. With mushrooms."
  expect(subjectOf(recipe("Farfalle", { summary })).pasta).toEqual({ kind: "pieces", shape: "farfalle" })
  expect(subjectOf(recipe("Sunday lunch", { summary }))).toMatchObject({
    pasta: { kind: "pieces", shape: "penne" },
    garnishes: ["mushroom"],
  })
})

test("a recipe whose words say nothing is always drawn the same", () => {
  const { container, rerender } = render(<PastaArt recipe={recipe("Monday")} />)
  const first = container.innerHTML
  rerender(<PastaArt recipe={recipe("Tuesday")} />)
  expect(container.innerHTML).not.toBe(first)
  rerender(<PastaArt recipe={recipe("Monday")} />)
  expect(container.innerHTML).toBe(first)
})

test.each([
  "Spaghetti",
  "Lasagne with mushrooms",
  "Farfalle with peas",
  "Penne",
  "Gnocchi",
  "Rigatoni",
  "Fusilli",
])("%s has a picture that screen readers pass over, and only numbers in its paths", (title) => {
  const { container } = render(<PastaArt recipe={recipe(title)} className="picture" />)
  const svg = container.querySelector("svg")
  expect(svg).toHaveAttribute("aria-hidden", "true")
  expect(svg?.querySelectorAll("g").length).toBeGreaterThan(3)
  expect(container.innerHTML).not.toMatch(/NaN|undefined|Infinity/)
})

const shapes: Record<Shape, true> = {
  conchiglie: true,
  farfalle: true,
  fusilli: true,
  gnocchi: true,
  macaroni: true,
  orecchiette: true,
  orzo: true,
  penne: true,
  ravioli: true,
  rigatoni: true,
  tortellini: true,
  trofie: true,
}

const garnishes: Record<Garnish, true> = {
  basil: true,
  cheese: true,
  chilli: true,
  clam: true,
  egg: true,
  fish: true,
  garlic: true,
  lemon: true,
  mushroom: true,
  olive: true,
  peas: true,
  tomato: true,
}

test("no two drawings are the same", () => {
  const { palette } = subjectOf(recipe("Penne"))
  const drawings = [
    ...Object.keys(shapes).map((shape) => <Piece key={shape} shape={shape as Shape} palette={palette} />),
    ...Object.keys(garnishes).map((garnish) => <Extra key={garnish} garnish={garnish as Garnish} />),
  ].map((drawing) => render(<svg>{drawing}</svg>).container.innerHTML)
  expect(new Set(drawings).size).toBe(24)
})

/** A browser in which things come near what is seen only when the test says so. */
function withDistance() {
  const watched = new Map<Element, (isIntersecting: boolean) => void>()
  class Observer {
    private readonly changed: IntersectionObserverCallback

    constructor(changed: IntersectionObserverCallback) {
      this.changed = changed
    }
    observe(element: Element) {
      watched.set(element, (isIntersecting) => {
        const entries = [{ isIntersecting }] as IntersectionObserverEntry[]
        act(() => {
          this.changed(entries, this as unknown as IntersectionObserver)
        })
      })
    }
    disconnect() {
      watched.clear()
    }
  }
  vi.stubGlobal("IntersectionObserver", Observer)
  return watched
}

test("a poster far down a page is its ground alone until it comes near", () => {
  const watched = withDistance()
  const { container } = render(<PastaArt recipe={recipe("Penne")} />)
  const poster = container.querySelector("svg")
  const come = poster && watched.get(poster)
  come?.(false)
  expect(poster?.querySelectorAll("*")).toHaveLength(1)
  come?.(true)
  expect(poster?.querySelectorAll("g").length).toBeGreaterThan(3)
  expect(watched.size).toBe(0)
})

test("all posters are drawn on paper", () => {
  withDistance()
  const { container } = render(<PastaArt recipe={recipe("Penne")} />)
  act(() => {
    dispatchEvent(new Event("beforeprint"))
  })
  expect(container.querySelectorAll("g").length).toBeGreaterThan(3)
})
