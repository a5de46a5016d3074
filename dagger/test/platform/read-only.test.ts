// Real mounts, in a mount namespace of their own: only who may make one can run these.
import { spawnSync } from "node:child_process"
import { describe, expect, it } from "vitest"
import { readOnlyCommand } from "../../src/platform/read-only.js"

const kinds = ["python", "react"] as const

describe.each(kinds)("the command for images of kind %s", (kind) => {
  it("goes on with the command of the image, as its user", () => {
    const command = readOnlyCommand(kind, "10001:10002", ["serve", "--port", "1"])
    expect(command.slice(-5)).toEqual(["10001", "10002", "serve", "--port", "1"])
    expect(readOnlyCommand(kind, "101", ["nginx"]).slice(-3)).toEqual(["101", "101", "nginx"])
  })

  it.each(["nginx", "", "10001:staff"])("refuses an image whose user is %j", (user) => {
    expect(() => readOnlyCommand(kind, user, ["nginx"])).toThrow(
      `the image runs as "${user}"; name a number in its USER`,
    )
  })
})

// As in a cluster, temporary files have a file system of their own.
const unshare = (command: string[]) => [
  ...["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "mounts"],
  ...command,
]
// Not from the checkout: that may be below /tmp, which is another one then.
const spawn = ([program = "", ...words]: string[]) =>
  spawnSync(program, words, { encoding: "utf8", cwd: "/" })
const able = process.getuid?.() === 0 && spawn(unshare(["true"])).status === 0

describe.skipIf(!able).each(kinds)(
  "a command on a read-only root file system, started for images of kind %s",
  (kind) => {
    const started = (script: string) =>
      unshare(
        readOnlyCommand(kind, "10001:10002", ["sh", "-c", script]).map((word) =>
          word === "python" ? "python3" : word,
        ),
      )

    it("is another user without rights, who may open its output by name", () => {
      const script =
        "id -u; id -G; echo $HOME; grep CapEff /proc/self/status; echo out > /dev/stdout; echo said > /dev/stderr"
      const { stdout } = spawn(["sh", "-c", '"$@" 2>&1 | cat', "piped", ...started(script)])
      expect(stdout).toBe("10001\n10002\n/\nCapEff:\t0000000000000000\nout\nsaid\n")
    })

    it("writes temporary files, and nowhere else: not even where everybody may", () => {
      const { stdout, stderr } = spawn(started("echo kept > /tmp/file && cat /tmp/file; touch /var/tmp/file"))
      expect(stdout).toBe("kept\n")
      expect(stderr).toMatch(/\/var\/tmp\/file.*Read-only file system/)
    })

    it("ends as it ends", () => {
      expect(spawn(started("exit 7")).status).toBe(7)
    })
  },
)
