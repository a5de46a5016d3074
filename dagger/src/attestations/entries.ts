/** The entries of the secrets file with a key that signs, and its password where it is one of cosign's. */
export const keyEntries = { key: "SIGNING_KEY", password: "SIGNING_PASSWORD" } as const

/** The entries by which a job of GitHub Actions proves who it is: variables that GitHub gives a job with the permission `id-token: write`. */
export const githubEntries = {
  url: "ACTIONS_ID_TOKEN_REQUEST_URL",
  token: "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
} as const

/** All entries that sign. */
export const signingEntries = [...Object.values(keyEntries), ...Object.values(githubEntries)] as const
