import type { Container, Service as Running } from "@dagger.io/dagger"
import type { Service } from "./catalog.js"
import { temporaryFolder } from "./pod-security.js"

/**
 * Runs the image of a service as a cluster does: its root file system is read-only, and only the folder for temporary files can be written.
 *
 * Dagger mounts no root read-only, so the container starts as root, takes that right from everybody in it, and goes on as the user of the image.
 *
 * @throws Error when the image names its user otherwise than by number
 */
export async function readOnlyService(container: Container, kind: Service["kind"]): Promise<Running> {
  const [user, entrypoint, args] = await Promise.all([
    container.user(),
    container.entrypoint(),
    container.defaultArgs(),
  ])
  return container
    .withMountedTemp(temporaryFolder)
    .withUser("root")
    .asService({
      args: readOnlyCommand(kind, user, [...entrypoint, ...args]),
      insecureRootCapabilities: true,
    })
}

/**
 * The command that, as root, makes the root file system read-only and becomes another command of another user.
 *
 * @param kind of the service: images of Python have no shell, and those of web apps no Python
 * @param user `number` or `number:number`; the group has the user's number where it is not told
 * @throws Error for a user that is no number
 */
export function readOnlyCommand(kind: Service["kind"], user: string, command: string[]): string[] {
  const [, uid, gid = uid] = /^(\d+)(?::(\d+))?$/.exec(user.trim()) ?? []
  if (uid === undefined || gid === undefined)
    throw new Error(
      `the image runs as "${user}"; name a number in its USER, because a cluster that forbids root takes no name`,
    )
  return kind === "python"
    ? ["python", "-I", "-c", withPython, uid, gid, ...command]
    : ["sh", "-c", withShell, "read-only", uid, gid, ...command]
}

const writable = "the root file system can still be written"

// The three flags of the system call say: change this mount, only this one, to read-only. Pipes belong to the user who starts, and nginx opens them by name.
const withPython = `
import ctypes, errno, os, sys
uid, gid, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(None, b"/", None, 32 | 4096 | 1, None) != 0:
    sys.exit(f"the root file system cannot be made read-only: {os.strerror(ctypes.get_errno())}")
try:
    open("/.written", "w").close()
    sys.exit("${writable}")
except OSError as error:
    if error.errno != errno.EROFS:
        raise
for output in (1, 2):
    os.fchown(output, uid, gid)
os.environ["HOME"] = "/"
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
os.execvp(command[0], command)
`
const withShell = `
set -e
uid=$1 gid=$2
shift 2
mount -o remount,bind,ro /
if touch /.written 2> /dev/null; then
  echo "${writable}" >&2
  exit 1
fi
chown "$uid:$gid" /proc/self/fd/1 /proc/self/fd/2
export HOME=/
exec setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@"
`
