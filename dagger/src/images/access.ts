import { type Container, dag } from "@dagger.io/dagger"
import type { RegistryKeys } from "../clients/registry/reach.js"

/** A registry, and how to sign in to it. */
export interface RegistryAccess extends RegistryKeys {
  /** Address and path before the service, such as `ghcr.io/owner/repository`. */
  address: string
}

/** A container that pulls and pushes with an account. */
export function signedIn(image: Container, host: string, { user, password }: RegistryKeys): Container {
  if (password === undefined) return image
  return image.withRegistryAuth(host, user ?? "", dag.setSecret("registry-password", password))
}
