// The template for a web app: who may do what.
import { readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { functionFiles, securityHeaders } from "../../src/frontends/edge-functions.js"
import { headersPolicy, infrastructureText } from "../../src/frontends/infrastructure.js"
import { frontendSection, type FrontendSettings } from "../../src/frontends/settings.js"
import { store } from "./platform.js"
import { policyHeaders } from "./servers.js"

const source = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8")
const sources = { request: source(functionFiles.request), response: source(functionFiles.response) }

interface Statement {
  Effect: string
  Action: string | string[]
  Principal?: unknown
  Resource: unknown
  Condition?: Record<string, Record<string, unknown>>
}
interface Template {
  Parameters: Record<string, { AllowedPattern?: string }>
  Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>
}

const settingsOf = (edge: object, more: object = {}): FrontendSettings => ({
  ...frontendSection.parse({
    hostnames: ["app.example.com"],
    bucket: "apps",
    prefix: "staging",
    region: "us-east-1",
    edge,
    ...more,
  }),
  ...{ app: "web", environment: "staging", namespace: "f1-staging" },
})
const text = (edge: object, more: object = {}): string => infrastructureText(settingsOf(edge, more), sources)
const texts = {
  store: text({ kind: "key-value-store", store }),
  previews: text(
    { kind: "key-value-store", store },
    { preview: true, previews: { domain: "preview.example.com" } },
  ),
  distribution: text(
    { kind: "invalidate", distribution: "E2QWRUHAPOMQZL" },
    { api: "https://api.example.com" },
  ),
}
const withStore = parse(texts.store) as Template
const withDistribution = parse(texts.distribution) as Template

// For cfn-lint, by hand: TEMPLATES=FOLDER.
const { TEMPLATES: folder } = process.env
if (folder !== undefined)
  for (const [name, contents] of Object.entries(texts)) writeFileSync(`${folder}/${name}.yaml`, contents)

const rightsOf = ({ Resources }: Template): Statement[] => {
  const [policy] = Resources.Deployer?.Properties.Policies as { PolicyDocument: { Statement: Statement[] } }[]
  return policy?.PolicyDocument.Statement ?? []
}
const bucketPolicy = ({ Resources }: Template) =>
  (Resources.BucketPolicy?.Properties.PolicyDocument as { Statement: Statement[] }).Statement

describe.each([
  ["with a key-value store", withStore],
  ["with invalidations", withDistribution],
])("the infrastructure %s", (_, made) => {
  it("has no bucket that others can read", () => {
    const buckets = Object.values(made.Resources).filter(({ Type }) => Type === "AWS::S3::Bucket")
    expect(buckets).toHaveLength(2)
    for (const { Properties } of buckets) {
      const block = Properties.PublicAccessBlockConfiguration as Record<string, boolean>
      expect(Object.values(block)).toEqual([true, true, true, true])
    }
    for (const { Effect, Principal, Condition } of bucketPolicy(made)) {
      if (Effect !== "Allow") continue
      expect(Principal).toEqual({ Service: "cloudfront.amazonaws.com" })
      expect(Object.keys(Condition?.StringEquals ?? {})).toEqual(["AWS:SourceArn"])
    }
  })

  it("tells what is missing from what is forbidden", () => {
    expect(bucketPolicy(made).filter(({ Action }) => Action === "s3:ListBucket")).toHaveLength(1)
  })

  it("takes encrypted connections only", () => {
    const denied = bucketPolicy(made).find(({ Effect }) => Effect === "Deny")
    expect(denied?.Condition).toEqual({ Bool: { "aws:SecureTransport": "false" } })
    const { DistributionConfig } = made.Resources.Distribution?.Properties as {
      DistributionConfig: Record<string, unknown>
    }
    expect(DistributionConfig.ViewerCertificate).toMatchObject({ MinimumProtocolVersion: "TLSv1.2_2021" })
    expect(DistributionConfig.Logging).toBeDefined()
  })

  it("lets deploys do nothing but what they do", () => {
    const rights = rightsOf(made)
    const actions = rights.flatMap(({ Action }) => Action)
    expect(actions.filter((action) => action.includes("*"))).toEqual([])
    expect(actions.filter((action) => /Policy|Acl|Update|Create(?!Invalidation)|iam:/.test(action))).toEqual(
      [],
    )
    for (const { Resource } of rights) expect(Resource).not.toBe("*")
    const objects = rights.find(({ Action }) => Action.includes("s3:PutObject"))
    expect(objects?.Resource).toEqual({ "Fn::Sub": "${Bucket.Arn}/staging/web/*" })
  })

  it("lets one identity of CI deploy", () => {
    const { AssumeRolePolicyDocument: document } = made.Resources.Deployer?.Properties as {
      AssumeRolePolicyDocument: { "Fn::Sub": [string, object] }
    }
    const trust = JSON.parse(document["Fn::Sub"][0]) as { Statement: Statement[] }
    expect(trust.Statement[0]?.Condition).toEqual({
      StringEquals: { "${host}:aud": "sts.amazonaws.com", "${host}:sub": "${subject}" },
    })
    expect(made.Parameters.Subject?.AllowedPattern).toBe("[^*]+")
  })

  it("has functions with their settings", () => {
    const code = String(made.Resources.RequestFunction?.Properties.FunctionCode)
    expect(code).toContain('"root":"/staging/web/"')
    expect(code).not.toContain("const settings = {}")
  })
})

describe("the infrastructure", () => {
  it("has a store for the functions where the edge has one, and the rights for it alone", () => {
    expect(withStore.Resources.Store?.Type).toBe("AWS::CloudFront::KeyValueStore")
    expect(rightsOf(withStore).flatMap(({ Action }) => Action)).toEqual([
      "s3:ListBucket",
      "s3:GetObject",
      "s3:PutObject",
      "s3:DeleteObject",
      "cloudfront-keyvaluestore:DescribeKeyValueStore",
      "cloudfront-keyvaluestore:GetKey",
      "cloudfront-keyvaluestore:PutKey",
    ])
    expect(withDistribution.Resources.Store).toBeUndefined()
    expect(
      rightsOf(withDistribution)
        .flatMap(({ Action }) => Action)
        .slice(4),
    ).toEqual(["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"])
  })

  it("gives previews their host names, and deploys the rights to list and to end them, where there are any", () => {
    const shown = parse(texts.previews) as Template
    const aliases = ({ Resources }: Template) =>
      (Resources.Distribution?.Properties as { DistributionConfig: { Aliases: string[] } }).DistributionConfig
        .Aliases
    expect(aliases(withStore)).toEqual(["app.example.com"])
    expect(aliases(shown)).toEqual(["app.example.com", "*.preview.example.com"])
    const more = rightsOf(shown)
      .flatMap(({ Action }) => Action)
      .slice(7)
    expect(more).toEqual(["cloudfront-keyvaluestore:ListKeys", "cloudfront-keyvaluestore:DeleteKey"])
    expect(String(shown.Resources.RequestFunction?.Properties.FunctionCode)).toContain(
      '"previews":"preview.example.com"',
    )
  })

  it.each([
    ["its own backend", {}],
    ["another backend and images", { api: "https://api.example.com/v1", images: ["https:"] }],
  ])(
    "adds the security headers to what no function sees, such as errors of the bucket, with %s",
    (_, more) => {
      const settings = settingsOf({ kind: "key-value-store", store }, more)
      expect(policyHeaders(settings)).toEqual(securityHeaders(settings))
      const custom = JSON.stringify(headersPolicy({ "x-frame-options": "DENY", "x-own": "1" }))
      expect(JSON.parse(custom)).toEqual({
        SecurityHeadersConfig: { FrameOptions: { FrameOption: "DENY", Override: true } },
        CustomHeadersConfig: { Items: [{ Header: "x-own", Value: "1", Override: true }] },
      })
    },
  )

  it("says no other header than the functions do", () => {
    for (const [name, value] of [
      ["strict-transport-security", "max-age=1; preload; what"],
      ["x-content-type-options", "sniff"],
      ["x-frame-options", "ALLOW-FROM x"],
    ] as const)
      expect(() => headersPolicy({ [name]: value })).toThrow(
        `a policy of CloudFront cannot say ${name}: ${value}`,
      )
  })

  it("has no alias, which CloudFormation does not read", () => {
    expect(texts.store).not.toMatch(/: [&*]a\d/)
  })

  it("sends the API on where pages call it at their own address", () => {
    const behaviors = ({ Resources }: Template) =>
      (Resources.Distribution?.Properties as { DistributionConfig: { CacheBehaviors?: object[] } })
        .DistributionConfig.CacheBehaviors
    expect(behaviors(withStore)).toMatchObject([{ PathPattern: "/api/*" }])
    expect(behaviors(withDistribution)).toBeUndefined()
  })
})
