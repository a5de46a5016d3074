import { spawnSync } from "node:child_process"
import { expect, it } from "vitest"
import { setupCommand } from "../../src/platform/setup.js"

function run(...commands: string[]) {
  const [, ...options] = setupCommand(commands)
  const { status, stdout, stderr } = spawnSync("python3", options, {
    encoding: "utf8",
    env: { PATH: process.env.PATH, SETUP_USER: "the editor", SETUP_PASSWORD: "a b" },
  })
  return { status, stdout, stderr }
}

it("runs commands one after another, with their variables as single words, and without a shell", () => {
  const { status, stdout } = run(
    "printf '%s|' one 'two words' $SETUP_USER \"${SETUP_PASSWORD}\" ';' '>' $$HOME",
    "env PASSWORD=$SETUP_PASSWORD python3 -c 'import os; print(os.environ[\"PASSWORD\"])'",
  )
  expect(stdout).toBe("one|two words|the editor|a b|;|>|$HOME|a b\n")
  expect(status).toBe(0)
})

it("ends with the first command that fails, and names it", () => {
  const { status, stdout, stderr } = run("python3 -c 'raise SystemExit(3)'", "printf later")
  expect([status, stdout]).toEqual([1, ""])
  expect(stderr).toContain("raise SystemExit(3)': exit code 3")
})

it("refuses a variable that is not set", () => {
  expect(run("printf $SETUP_USR")).toMatchObject({
    status: 1,
    stdout: "",
    stderr: "printf $SETUP_USR: there is no variable SETUP_USR\n",
  })
})
