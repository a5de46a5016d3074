// The architecture of the module: which folder of dagger/src may import which. `npm run check:architecture` checks it.
//
// Every folder may import itself and the folders listed for it, and nothing else.
/** @type {Record<string, string[]>} */
const mayImport = {
  // Helpers without a domain: durations, clocks, retries, text, YAML documents.
  lib: [],
  // Clients of systems outside: Kubernetes, registries.
  clients: ["lib"],
  // What a database migration does: its locks, what it breaks, and the rules that it must keep.
  migrations: ["lib"],
  // The platform that is delivered: its services, their images, throw-away stores and clusters to run them on.
  platform: ["clients", "lib"],
  // What is said of images, signed: provenance, packages, tests, scans; and what an image must have said of it.
  attestations: ["clients", "lib"],
  // What every deploy has in common: releases, components, plans, guards, approvals, the audit log, events.
  delivery: ["attestations", "platform", "clients", "lib"],
  // The second kind of component: databases, migrated by a Job in the environment.
  databases: ["migrations", "delivery", "platform", "clients", "lib"],
  // The fourth kind of component: models, trained by a Job in the environment.
  models: ["delivery", "platform", "clients", "lib"],
  // The third kind of component: web apps, files in a bucket behind an edge.
  frontends: ["delivery", "platform", "clients", "lib"],
  // The first kind of component: backends on Kubernetes, with their revisions, rollouts and analysis.
  backends: ["delivery", "platform", "clients", "lib"],
  // The environments of deploy.yaml, their secrets, and the connection to one; each section of the file is defined by the folder that uses it.
  environments: [
    "backends",
    "databases",
    "models",
    "frontends",
    "delivery",
    "attestations",
    "clients",
    "lib",
  ],
  // Images of the platform: built from source, pushed to a registry, described and signed.
  images: ["delivery", "attestations", "platform", "clients", "lib"],
  // Gates, the runner that runs them, and reports of what they found.
  ci: ["migrations", "platform", "lib"],
  // Deploys on a throw-away cluster with a fault injected, measured.
  rehearsal: ["environments", "backends", "delivery", "platform", "clients", "lib"],
  // The objects and functions of the Dagger API: arguments in, text and files out.
  api: [
    "rehearsal",
    "environments",
    "images",
    "backends",
    "frontends",
    "delivery",
    "attestations",
    "ci",
    "platform",
    "clients",
    "lib",
  ],
}

// The same for the folders of ci.
const ciMayImport = {
  // Runs gates one by one: commands, verdicts, order, retries.
  runner: [],
  // The gates that a change affects.
  affected: [],
  // The checkout, as git sees it.
  worktree: [],
  // What tools report, read and written: JUnit, coverage, SARIF.
  report: ["runner"],
  // What scanners find, and the policy that decides on it.
  security: ["report", "runner"],
  // The gates themselves.
  gates: ["security", "report", "affected", "worktree", "runner"],
  // Passes of earlier runs, and of other machines.
  passes: ["gates", "security", "report", "affected", "runner"],
}

/**
 * Rules that let each folder of a root import itself and the folders listed for it.
 *
 * @param {string} root
 * @param {Record<string, string[]>} allowed
 * @returns {import("dependency-cruiser").IForbiddenRuleType[]}
 */
const layers = (root, allowed) =>
  Object.entries(allowed).map(([folder, others]) => ({
    name: `layers-${folder}`,
    comment: `${folder} may import ${["itself", ...others].join(", ")}.`,
    severity: "error",
    from: { path: `^${root}/${folder}/` },
    to: { path: `^${root}/`, pathNot: [folder, ...others].map((one) => `^${root}/${one}/`) },
  }))

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-circular-files",
      comment: "Files that import each other cannot be understood one at a time.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-circular-folders",
      comment: "Folders that import each other are one folder.",
      severity: "error",
      scope: "folder",
      from: {},
      to: { circular: true },
    },
    {
      name: "only-dependencies",
      comment: "A package is named in dagger/package.json, or it is not there when the module runs.",
      severity: "error",
      from: {},
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "unknown"],
        dependencyTypesNot: ["type-only"],
      },
    },
    ...layers("dagger/src", mayImport),
    ...layers("dagger/src/ci", ciMayImport),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".d.ts"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
}
