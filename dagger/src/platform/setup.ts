/**
 * The command of a container with Python that runs commands one after another, until one fails. Images of services have no shell.
 *
 * @param commands words as in a shell, where `$NAME` stands for a variable of the environment; one that is not set is an error
 */
export const setupCommand = (commands: string[]): string[] => ["python", "-c", runAll, ...commands]

const runAll = `
import os, shlex, string, subprocess, sys
for command in sys.argv[1:]:
    try:
        words = [string.Template(word).substitute(os.environ) for word in shlex.split(command)]
    except KeyError as error:
        sys.exit(f"{command}: there is no variable {error.args[0]}")
    ended = subprocess.run(words)
    if ended.returncode != 0:
        sys.exit(f"{command}: exit code {ended.returncode}")
`
