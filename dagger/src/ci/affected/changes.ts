import type { Workspace } from "@dagger.io/dagger"

/**
 * The files that differ between the workspace, uncommitted changes included, and the commit where its history left that of a ref.
 *
 * @param ref such as `origin/main` or a commit
 * @throws Error when git cannot tell, as in a shallow clone
 */
export async function changesSince(workspace: Workspace, ref: string): Promise<string[]> {
  const repository = workspace.directory("/", { include: [".git"] }).asGit()
  const base = repository.head().commonAncestor(repository.ref(ref)).tree({ discardGitDir: true })
  const changes = workspace.directory("/", { exclude: [".git"], gitignore: true }).changes(base)
  const paths = await Promise.all([changes.addedPaths(), changes.modifiedPaths(), changes.removedPaths()])
  return paths.flat().filter((path) => !path.endsWith("/"))
}
