/** The platforms that images are built for. */
export const targetPlatforms = ["linux/amd64", "linux/arm64"] as const
export type TargetPlatform = (typeof targetPlatforms)[number]

/**
 * Reads the platforms that a command names, each once.
 *
 * @throws Error for another platform
 */
export function readTargets(names: string[]): TargetPlatform[] {
  const known = (name: string): name is TargetPlatform =>
    (targetPlatforms as readonly string[]).includes(name)
  return [...new Set(names)].map((name) => {
    if (known(name)) return name
    throw new Error(`there are no images for the platform "${name}"; allowed: ${targetPlatforms.join(", ")}`)
  })
}
