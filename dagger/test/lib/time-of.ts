/**
 * Milliseconds of a processor that something takes: on a busy machine it waits, which does not count. Limits on it are far above what a slow machine needs, and far
 * below quadratic time.
 */
export function timeOf(work: () => unknown): number {
  const begin = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(begin)
  return (user + system) / 1000
}
