export const publicKey = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"
/** Names the model of f1-backend, as deploy.yaml does. */
export const modelText = `
services:
  f1-backend:
    model:
      name: f1-winners
      registry: { bucket: models, prefix: f1 }
      publicKey: "${publicKey.replaceAll("\n", "\\n")}"
`
