import { createContext, use, type Context } from "react"

/** The flags that an app knows: what each of them turns on, in a sentence for whoever sets it. All are off by default. */
export type FlagDeclarations = Readonly<Record<string, string>>

/** Which of an app's flags are on. */
export type Flags<Declared extends FlagDeclarations = FlagDeclarations> = Record<keyof Declared, boolean>

/** All flags of an app, off. */
export function allOff<Declared extends FlagDeclarations>(declared: Declared): Flags<Declared> {
  return Object.fromEntries(Object.keys(declared).map((name) => [name, false])) as Flags<Declared>
}

/** How the components of an app read its flags, which are off where no `FlagsContext` is above. */
export function createFlags<Declared extends FlagDeclarations>(
  declared: Declared,
): { FlagsContext: Context<Flags<Declared>>; useFlag: (name: keyof Declared) => boolean } {
  const FlagsContext = createContext(allOff(declared))
  return { FlagsContext, useFlag: (name) => use(FlagsContext)[name] }
}
