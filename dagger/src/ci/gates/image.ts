import { dag, ExecError } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import type { Platform } from "../../platform/platform.js"
import type { Service } from "../../platform/catalog.js"
import { commandGate, Fault, type Gate } from "../runner/gate.js"
import { isOutOfReach } from "../runner/verdict.js"

/** The gates of what is delivered: the image builds, and what it holds comes up and says that it is ready. */
export function imageGates(platform: Platform, service: Service): Gate[] {
  const { name, backend, limits } = service
  return [
    {
      name: `${name}:image`,
      on: "its Dockerfile",
      prepare: () => Promise.resolve(),
      look: async () => {
        const image = platform.image(service)
        try {
          await image.sync()
        } catch (error) {
          const message = messageOf(error)
          // Its steps fetch packages: a command that ends badly for want of a network is no fault of the Dockerfile.
          if (isOutOfReach(message)) throw new Error(message, { cause: error })
          throw buildFailed(error) ? new Fault(message) : error
        }
        return { detail: `runs as user ${(await image.user()) || "root"}` }
      },
    },
    {
      ...commandGate({
        name: `${name}:smoke`,
        on: "the image starts and becomes ready",
        // A schema that cannot be brought up to date is the migrations' fault, and a backend that does not come up its own.
        needs: [
          `${name}:image`,
          ...(service.database === undefined ? [] : [`${name}:migrations`]),
          ...(backend === undefined ? [] : [`${backend}:smoke`]),
        ],
        container: async () =>
          dag
            .container()
            .from(images.python)
            .withServiceBinding("service", await platform.run(service, `${name}:smoke`)),
        command: ["python", "-c", untilReady, "http://service:8000/health/ready", String(limits.ready)],
        limit: limits.ready + 30,
      }),
      // A service that ends before it listens is the image's fault, not the pipeline's.
      prepare: () => Promise.resolve(),
    },
  ]
}

const untilReady = `
import sys, time, urllib.error, urllib.request
address, patience = sys.argv[1], float(sys.argv[2])
deadline, said = time.monotonic() + patience, "nothing"
while time.monotonic() < deadline:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            print(f"{answer.status} {answer.read(300).decode()}")
            sys.exit()
    except urllib.error.HTTPError as error:
        said = f"{error.code} {error.read(2000).decode()}"
    except OSError as error:
        said = str(error)
    time.sleep(0.2)
sys.exit(f"{address} was not ready after {patience:.0f} s. It said: {said}")
`

/** A step of the Dockerfile ended badly; whatever else went wrong, as a registry that does not answer, is not the source's fault. */
function buildFailed(error: unknown): boolean {
  return (
    error instanceof ExecError ||
    /did not complete successfully|dockerfile parse error|not found|failed to compute cache key/i.test(
      messageOf(error),
    )
  )
}

function messageOf(error: unknown): string {
  if (error instanceof ExecError)
    return [error.message, error.stdout, error.stderr].filter(Boolean).join("\n")
  return error instanceof Error ? error.message : String(error)
}
