/** The user that the services' images run as, and the group of the files that are mounted for them. */
export const serviceUser = 10001

/** The one folder that every container of a service may write to. */
export const temporaryFolder = "/tmp"

/** The security context of a pod that runs the image of a service. */
export const servicePodSecurity = {
  runAsNonRoot: true,
  runAsUser: serviceUser,
  runAsGroup: serviceUser,
  fsGroup: serviceUser,
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
}

/** The security context of a container that needs no rights and writes to mounted volumes only. */
export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
}
