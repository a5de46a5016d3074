import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { connect } from "node:net"
import { expect, it } from "vitest"
import { daggerw } from "../../dagger/test/e2e/daggerw.js"

/** Prints a word after some seconds, in a container; never from the cache. */
const sayAfter = (seconds: number, word: string) =>
  daggerw([
    ...["core", "container", "from", "--address", "debian:bookworm-slim"],
    ...["with-exec", "--args", `sh,-c,sleep ${seconds} && echo ${word}`, "stdout"],
  ])

it("two calls at once each get their own answer", async () => {
  const words = [randomUUID(), randomUUID()]
  const answers = await Promise.all(words.map((word) => sayAfter(3, word).ended))
  expect(answers.map(({ stdout }) => stdout)).toEqual(words.map((word) => `${word}\n`))
})

it("an interrupt ends the call at once, and leaves the engine and its other calls alone", async () => {
  const [interrupted, other] = [randomUUID(), randomUUID()]
  const long = sayAfter(600, interrupted)
  const short = sayAfter(15, other)
  await Promise.all([long.until(interrupted), short.until(other)])
  const started = performance.now()
  long.signal("SIGINT")
  const { code, signal } = await long.ended
  expect(performance.now() - started).toBeLessThan(60_000)
  expect(code === 0 && signal === null).toBe(false)
  expect((await short.ended).stdout).toBe(`${other}\n`)
})

it("a service that ignores SIGTERM does not keep a call from ending", async () => {
  const started = performance.now()
  const { code } = await daggerw([
    ...["core", "container", "from", "--address", "debian:bookworm-slim"],
    ...["as-service", "--args", `sh,-c,trap '' TERM; while :; do sleep 1; done; # ${randomUUID()}`, "start"],
  ]).ended
  expect(code).toBe(0)
  expect(performance.now() - started).toBeLessThan(300_000)
})

it.runIf(process.platform === "linux")("the local engine publishes ports on loopback only", async () => {
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  const answers = async (address: string) => {
    const socket = connect(port, address)
    try {
      await once(socket, "connect")
      return true
    } catch (error) {
      expect(error).toMatchObject({ code: "ECONNREFUSED" })
      return false
    } finally {
      socket.destroy()
    }
  }
  const up = daggerw([
    ...["core", "container", "from", "--address", "redis:7.0-bookworm"],
    ...["as-service", "--use-entrypoint", "up", "--ports", `${port}:6379`],
  ])
  await up.until("tunnel started")
  // A listener on all interfaces would answer on every address of 127.0.0.0/8.
  expect([await answers("127.0.0.1"), await answers("127.0.0.2")]).toEqual([true, false])
  up.signal("SIGINT")
  await up.ended
})
