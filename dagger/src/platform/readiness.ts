import { defaultPort } from "./platform.js"

/**
 * The command of a container with Python that waits until a service is ready, and prints its answer.
 *
 * @param host under which the service is bound
 * @param limit seconds; then it exits with 1, and says what the service answered last
 */
export const readyCommand = (host: string, limit: number): string[] => [
  ...["python", "-c", untilReady, `http://${host}:${defaultPort}/health/ready`],
  String(limit),
]

const untilReady = `
import sys, time, urllib.error, urllib.request
address, limit = sys.argv[1], float(sys.argv[2])
deadline, answered = time.monotonic() + limit, "nothing"
while time.monotonic() < deadline:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            print(f"{answer.status} {answer.read(300).decode()}")
            sys.exit()
    except urllib.error.HTTPError as error:
        answered = f"{error.code} {error.read(2000).decode()}"
    except OSError as error:
        answered = str(error)
    time.sleep(0.2)
sys.exit(f"{address} was not ready after {limit:.0f} s. It answered: {answered}")
`
