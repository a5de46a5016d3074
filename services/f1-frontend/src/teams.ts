/** One ink for each constructor, in a light-theme and a dark-theme version with at least 3:1 against the page. */
export interface Ink {
  light: string
  dark: string
}

const inks: Record<string, Ink> = {
  alfa: { light: "#8b1a2b", dark: "#e88a99" },
  alphatauri: { light: "#42507f", dark: "#a9b6e8" },
  alpine: { light: "#b82f83", dark: "#ff8fd2" },
  "aston-martin": { light: "#00665c", dark: "#4cc3a1" },
  caterham: { light: "#1d6f42", dark: "#63c48d" },
  ferrari: { light: "#c8102e", dark: "#ff5a5f" },
  "force-india": { light: "#a8530f", dark: "#f2a35e" },
  haas: { light: "#5c6166", dark: "#c2c7cc" },
  hrt: { light: "#7a6a4f", dark: "#cbb994" },
  lotus: { light: "#7a6210", dark: "#d8b84a" },
  manor: { light: "#285fa8", dark: "#7fb0ee" },
  marussia: { light: "#a3263b", dark: "#ef7f8f" },
  mclaren: { light: "#b35000", dark: "#ff9a3c" },
  mercedes: { light: "#007f78", dark: "#2fd6c6" },
  "racing-point": { light: "#b24088", dark: "#f59bcf" },
  rb: { light: "#4457c0", dark: "#9aabff" },
  "red-bull": { light: "#1e3a8a", dark: "#7d9bff" },
  renault: { light: "#8a6d00", dark: "#ffd633" },
  sauber: { light: "#3b7a1e", dark: "#74dd52" },
  "toro-rosso": { light: "#3346a8", dark: "#93a4f5" },
  virgin: { light: "#b01f24", dark: "#f27c80" },
  williams: { light: "#0062ba", dark: "#58a6ff" },
}

const neutral: Ink = { light: "#5c6166", dark: "#c2c7cc" }

// For a constructor not named above; told apart by people with any colour vision (after Okabe and Ito).
const others: Ink[] = [
  { light: "#0072b2", dark: "#56b4e9" },
  { light: "#b8500a", dark: "#f0894a" },
  { light: "#00775a", dark: "#2fc79a" },
  { light: "#a3477f", dark: "#e39cc6" },
  { light: "#6f6400", dark: "#e0d43a" },
  { light: "#5b4fa2", dark: "#b3a8f0" },
]

/** The ink of a constructor; the same id always gets the same one, also when it is new. */
export function teamInk(constructorId: string): Ink {
  const words = `-${constructorId}-`
  const known = Object.entries(inks).find(([name]) => words.includes(`-${name}-`))
  if (known) return known[1]
  let hash = 0
  for (const character of constructorId) hash = (hash * 31 + character.charCodeAt(0)) >>> 0
  return others[hash % others.length] ?? neutral
}

/** The ink as a CSS colour that follows the theme in force. */
export function teamColor(constructorId: string): string {
  const { light, dark } = teamInk(constructorId)
  return `light-dark(${light}, ${dark})`
}
