import { nth, randomFrom } from "./random.ts"

export type Shape =
  | "conchiglie"
  | "farfalle"
  | "fusilli"
  | "gnocchi"
  | "macaroni"
  | "orecchiette"
  | "orzo"
  | "penne"
  | "ravioli"
  | "rigatoni"
  | "tortellini"
  | "trofie"

export type Garnish =
  | "basil"
  | "cheese"
  | "chilli"
  | "clam"
  | "egg"
  | "fish"
  | "garlic"
  | "lemon"
  | "mushroom"
  | "olive"
  | "peas"
  | "tomato"

/** Colours of a picture: ground, pasta with its shade and outline, and the plate or sauce behind. */
export interface Palette {
  ground: string
  pasta: string
  shade: string
  line: string
  plate: string
}

/** What to draw for a recipe. Strands lie on a plate, sheets in layers, all other shapes loose on the table. */
export interface Subject {
  pasta: { kind: "strands"; width: number } | { kind: "sheets" } | { kind: "pieces"; shape: Shape }
  garnishes: Garnish[]
  palette: Palette
  seed: string
}

const palettes = {
  tomato: { ground: "#d64c2f", pasta: "#f8d88f", shade: "#e5ae55", line: "#6d1f12", plate: "#f4b9a0" },
  basil: { ground: "#3d6b4c", pasta: "#f6dc9c", shade: "#dcb25c", line: "#17352a", plate: "#a9c79b" },
  lemon: { ground: "#f2c84b", pasta: "#fff0c9", shade: "#f0a93b", line: "#6b4310", plate: "#fff8e4" },
  sea: { ground: "#2b5673", pasta: "#f5dfa8", shade: "#d9ad63", line: "#10283a", plate: "#a8c8d6" },
  porcini: { ground: "#8c5a3c", pasta: "#f7dca6", shade: "#d9a761", line: "#3d2014", plate: "#dfbf9f" },
  aubergine: { ground: "#5b3350", pasta: "#f6d794", shade: "#dca655", line: "#2a1226", plate: "#d8a9b8" },
  pumpkin: { ground: "#e58a3a", pasta: "#fde3a7", shade: "#d9732b", line: "#6a2c0c", plate: "#fbd3a0" },
  sage: { ground: "#b8c7a0", pasta: "#fbe6b0", shade: "#e0b266", line: "#3f4a2c", plate: "#f2f3e2" },
} satisfies Record<string, Palette>

type Rule<T> = readonly [pattern: RegExp, value: T]

// The first that matches decides: a particular name stands before a general one.
const pastas: Rule<Subject["pasta"]>[] = [
  [/lasagn|cannelloni|sheet|timballo/, { kind: "sheets" }],
  [/pappardelle/, { kind: "strands", width: 17 }],
  [/tagliatelle|fettuccin|mafald/, { kind: "strands", width: 11 }],
  [/linguin|bucatini|pici|tonnarelli|bigoli|chitarra/, { kind: "strands", width: 7.5 }],
  [
    /spaghett|capellini|angel hair|vermicelli|tagliolini|carbonara|cacio e pepe|aglio/,
    { kind: "strands", width: 5.5 },
  ],
  [/farfall|bow.?tie/, { kind: "pieces", shape: "farfalle" }],
  [/fusilli|rotini|cavatappi|busiate|spiral/, { kind: "pieces", shape: "fusilli" }],
  [/conchigli|shell|lumac/, { kind: "pieces", shape: "conchiglie" }],
  [/orecchiette|cavatelli/, { kind: "pieces", shape: "orecchiette" }],
  [/ravioli|agnolotti|mezzelune/, { kind: "pieces", shape: "ravioli" }],
  [/tortell|cappelletti/, { kind: "pieces", shape: "tortellini" }],
  [/gnocch|malloreddus|gnudi/, { kind: "pieces", shape: "gnocchi" }],
  [/macaroni|elbow|mac and|pasta al forno|ditali|pasta e /, { kind: "pieces", shape: "macaroni" }],
  [/trofie|strozzapreti|casarecce|gemelli/, { kind: "pieces", shape: "trofie" }],
  [/orzo|risoni|fregola/, { kind: "pieces", shape: "orzo" }],
  [/penne|ziti|garganelli|arrabbiata|vodka/, { kind: "pieces", shape: "penne" }],
  [/rigatoni|paccheri|maniche|gricia|bake/, { kind: "pieces", shape: "rigatoni" }],
]

const grounds: Rule<Palette>[] = [
  [
    /clam|vongole|seafood|prawn|shrimp|mussel|squid|tuna|anchov|sardin|salmon|crab|fish|bottarga/,
    palettes.sea,
  ],
  [/pesto|basil|spinach|broccoli|cime|kale|greens|pea\b|peas/, palettes.basil],
  [/aubergine|eggplant|norma|radicchio|beet|red wine|fig\b/, palettes.aubergine],
  [/pumpkin|squash|butternut|'nduja|nduja|carrot|vodka/, palettes.pumpkin],
  [
    /mushroom|porcini|truffle|rag[uù]|bolognese|sausage|lentil|chickpea|bean|walnut|short rib|oxtail|boar/,
    palettes.porcini,
  ],
  [/lemon|carbonara|cacio|butter|saffron|alfredo|egg\b/, palettes.lemon],
  [/sage|ricotta|courgette|zucchini|asparagus|artichoke|leek|fennel/, palettes.sage],
  [/tomato|arrabbiata|amatriciana|puttanesca|pomodoro|marinara|red sauce/, palettes.tomato],
]

const garnishes: Rule<Garnish>[] = [
  [/clam|vongole|mussel|seafood/, "clam"],
  [/tuna|anchov|sardin|salmon|fish/, "fish"],
  [/mushroom|porcini|truffle/, "mushroom"],
  [/lemon/, "lemon"],
  [/carbonara|egg\b|yolk/, "egg"],
  [/pea\b|peas|chickpea|bean|lentil/, "peas"],
  [/chilli|chili|arrabbiata|nduja|spicy|amatriciana|hot\b/, "chilli"],
  [/olive|puttanesca|caper/, "olive"],
  [/tomato|pomodoro|norma|puttanesca|arrabbiata|amatriciana|bolognese|rag[uù]|marinara/, "tomato"],
  [/pesto|basil|sage|spinach|rocket|parsley|broccoli|greens|norma|mint/, "basil"],
  [/garlic|aglio|vongole/, "garlic"],
  [/cacio|cheese|pecorino|parmesan|parmigiano|ricotta|gorgonzola|mozzarella|alfredo/, "cheese"],
]

const fallbackPastas: Subject["pasta"][] = [
  { kind: "strands", width: 6 },
  { kind: "pieces", shape: "rigatoni" },
  { kind: "pieces", shape: "farfalle" },
  { kind: "pieces", shape: "penne" },
]

/** Reads off a recipe's words what its picture should show; what the words leave open follows from the slug. */
export function subjectOf(recipe: { slug: string; title: string; summary: string; tags: string[] }): Subject {
  const title = recipe.title.toLowerCase()
  const words = `${title} ${recipe.tags.join(" ")} ${recipe.summary}`.toLowerCase()
  const random = randomFrom(recipe.slug)
  const matching = garnishes.filter(([pattern]) => pattern.test(words)).map(([, garnish]) => garnish)
  return {
    pasta: first(pastas, title) ?? first(pastas, words) ?? pick(fallbackPastas, random),
    garnishes: matching.length > 0 ? matching.slice(0, 2) : ["basil"],
    palette: first(grounds, title) ?? first(grounds, words) ?? pick(Object.values(palettes), random),
    seed: recipe.slug,
  }
}

function first<T>(rules: Rule<T>[], words: string): T | undefined {
  return rules.find(([pattern]) => pattern.test(words))?.[1]
}

function pick<T>(choices: T[], random: () => number): T {
  return nth(choices, Math.floor(random() * choices.length))
}
