import type { Directory } from "@dagger.io/dagger"
import type { Platform } from "../../platform/platform.js"
import type { Worktree } from "../worktree/worktree.js"

/** What gates check. */
export interface Subjects {
  /** The repository, as far as gates and builds read it. */
  source: Directory
  /** Every file of the checkout. */
  worktree: Pick<Worktree, "files">
  platform: Platform
  /** The manifests that deploys and administrators apply, as YAML by file name. */
  manifests: () => Promise<Record<string, string>>
}
