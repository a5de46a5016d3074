import { createContext, use, useEffect, useMemo, useState, useSyncExternalStore, type ReactNode } from "react"

/** What a person chose; "system" follows the device. */
export type ThemeChoice = "light" | "dark" | "system"

interface Theme {
  choice: ThemeChoice
  /** What is shown. */
  shown: "light" | "dark"
  choose: (choice: ThemeChoice) => void
}

const ThemeContext = createContext<Theme | null>(null)
const key = "theme"
const darkQuery = "(prefers-color-scheme: dark)"

/** Keeps `data-theme` of the document at the chosen theme; `before-paint.js` sets it first. */
export function ThemeProvider({ children }: { children: ReactNode }) {
  const [choice, setChoice] = useState(storedChoice)
  const systemDark = useSyncExternalStore(subscribeToSystem, () => matchMedia(darkQuery).matches)
  const shown = choice === "system" ? (systemDark ? "dark" : "light") : choice

  useEffect(() => {
    document.documentElement.dataset.theme = shown
  }, [shown])

  const theme = useMemo(
    () => ({
      choice,
      shown,
      choose(next: ThemeChoice) {
        setChoice(next)
        store(next)
      },
    }),
    [choice, shown],
  )
  return <ThemeContext value={theme}>{children}</ThemeContext>
}

/** The theme and how to change it. Throws outside a ThemeProvider. */
export function useTheme(): Theme {
  const theme = use(ThemeContext)
  if (!theme) throw new Error("useTheme needs a ThemeProvider above it")
  return theme
}

const choices: { value: ThemeChoice; label: string; icon: ReactNode }[] = [
  {
    value: "light",
    label: "Light",
    icon: (
      <>
        <circle cx="12" cy="12" r="4.2" />
        <path d="M12 2.5v2.6M12 18.9v2.6M2.5 12h2.6M18.9 12h2.6M5.3 5.3l1.8 1.8M16.9 16.9l1.8 1.8M5.3 18.7l1.8-1.8M16.9 7.1l1.8-1.8" />
      </>
    ),
  },
  { value: "dark", label: "Dark", icon: <path d="M20 14.2A8.4 8.4 0 0 1 9.8 4a8.4 8.4 0 1 0 10.2 10.2Z" /> },
  {
    value: "system",
    label: "Same as device",
    icon: (
      <>
        <rect x="3" y="4.5" width="18" height="12" rx="1.8" />
        <path d="M8.5 20h7M12 16.5V20" />
      </>
    ),
  },
]

/** Light, dark or the same as the device: a group of radio buttons that looks like one control. */
export function ThemeToggle() {
  const { choice, choose } = useTheme()
  return (
    <fieldset className="kit-theme">
      <legend className="kit-visually-hidden">Colour theme</legend>
      {choices.map(({ value, label, icon }) => (
        <label key={value} title={label}>
          <input
            type="radio"
            name="kit-theme"
            className="kit-visually-hidden"
            checked={choice === value}
            onChange={() => {
              choose(value)
            }}
          />
          <svg viewBox="0 0 24 24" aria-hidden="true">
            {icon}
          </svg>
          <span className="kit-visually-hidden">{label}</span>
        </label>
      ))}
    </fieldset>
  )
}

function storedChoice(): ThemeChoice {
  try {
    const stored = localStorage.getItem(key)
    return stored === "light" || stored === "dark" ? stored : "system"
  } catch {
    return "system"
  }
}

function store(choice: ThemeChoice): void {
  try {
    localStorage.setItem(key, choice)
  } catch {
    // Storage is closed to this page: the choice holds until it is left.
  }
}

function subscribeToSystem(changed: () => void): () => void {
  const query = matchMedia(darkQuery)
  query.addEventListener("change", changed)
  return () => {
    query.removeEventListener("change", changed)
  }
}
