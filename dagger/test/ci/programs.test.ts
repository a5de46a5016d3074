import { expect, it } from "vitest"
import { programFault } from "../../src/ci/gates/programs.js"

it.each([
  ["usr/bin/apt-get", "package manager"],
  ["usr/bin/dpkg", "package manager"],
  ["sbin/apk", "package manager"],
  ["usr/local/bin/pip3.11", "package manager"],
  ["usr/local/lib/python3.11/site-packages/pip/__main__.py", "package manager"],
  ["usr/lib/python3.11/ensurepip/__main__.py", "package manager"],
  ["usr/share/python-wheels/pip-23.0.1-py3-none-any.whl", "package manager"],
  ["usr/local/lib/node_modules/npm/bin/npm", "package manager"],
  ["usr/bin/x86_64-linux-gnu-gcc-12", "compiler"],
  ["usr/bin/c++", "compiler"],
  ["usr/bin/clang-15", "compiler"],
  ["usr/bin/aarch64-linux-gnu-ld.bfd", "compiler"],
  ["usr/local/go/bin/go", "compiler"],
  ["usr/bin/dash", "shell"],
  ["bin/busybox", "shell"],
])("/%s is a %s that a service does not need", (path, kind) => {
  expect(programFault("api", ["usr/bin/python3.11", path], {})).toBe(
    [
      "services/api/Dockerfile: the image has programs that serve whoever breaks in. Remove them in its last stage, or allow them with a reason in dagger/config/services.yaml (services.api.programs):",
      `  /${path}: ${kind}`,
    ].join("\n"),
  )
})

it.each([
  "usr/bin/python3.11",
  "usr/bin/chsh",
  "usr/sbin/cppw",
  "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
  "usr/bin/ldd",
  "var/lib/dpkg/info/apt.postinst",
  "docker-entrypoint.sh",
  "app/recipes/__main__.py",
  "opt/venv/lib/python3.11/site-packages/pipeline/__main__.py",
  "usr/bin/gettext.sh",
])("/%s is nothing of that kind", (path) => {
  expect(programFault("api", [path], {})).toBeUndefined()
})

it("a program with a reason may be there, and no other one", () => {
  const allowed = { dash: "The entrypoint is a script." }
  expect(programFault("web", ["usr/bin/dash"], allowed)).toBeUndefined()
  expect(programFault("web", ["usr/bin/dash", "usr/bin/bash"], allowed)).toMatch(
    /:\n {2}\/usr\/bin\/bash: shell$/,
  )
})

it.each(["bash", "curl", "toString"])("a reason for %s, which is not there, is a fault", (program) => {
  expect(programFault("web", ["usr/bin/dash", "usr/bin/curl"], { dash: "a script", [program]: "once" })).toBe(
    `dagger/config/services.yaml: services.web.programs allows ${program}, which is no package manager, compiler or shell of the image; remove the entry`,
  )
})

it("of many programs some are named, and all are counted", () => {
  const many = Array.from({ length: 25 }, (_, at) => `usr/bin/dpkg-${at}`)
  expect(programFault("api", many, {})).toMatch(/\/usr\/bin\/dpkg-19: package manager\n {2}and 5 more$/)
})
