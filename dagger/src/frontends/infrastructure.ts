import { stringify } from "yaml"
import { functionText, requestSettings, responseSettings, securityHeaders } from "./edge-functions.js"
import { layoutOf } from "./layout.js"
import type { FrontendSettings } from "./settings.js"

/** CloudFront's own policies, the same in every account. */
const managed = {
  cached: "658327ea-f89d-4fab-a63d-7e88639e58f6",
  notCached: "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
  allButHost: "b689b0a8-53d0-40ab-baf2-68738e2966ac",
}

const ref = (name: string) => ({ Ref: name })
const attribute = (name: string, of: string) => ({ "Fn::GetAtt": [name, of] })
const sub = (text: string) => ({ "Fn::Sub": text })

/** The files of {@link functionFiles}. */
export interface FunctionSources {
  request: string
  response: string
}

/**
 * The CloudFormation template that an administrator applies once for a web app, and again after a change to its settings or an upgrade of Pitwall: a private bucket, a
 * distribution with its functions, and a role for deploys. CloudFront wants it in us-east-1, with the certificate.
 */
export function infrastructure(settings: FrontendSettings, sources: FunctionSources): object {
  const { app, bucket, prefix, edge, hostnames, environment, api, preview, previews } = settings
  const { root } = layoutOf({ prefix, app })
  const name = `pitwall-${environment}-${app}`
  const hasStore = edge.kind === "key-value-store"
  const hasBackend = api === ""
  const edgeFunction = (source: string, of: object, suffix: string) => ({
    Type: "AWS::CloudFront::Function",
    Properties: {
      Name: `${name}-${suffix}`,
      AutoPublish: true,
      FunctionCode: functionText(source, of),
      FunctionConfig: {
        Comment: `${suffix} of ${app}`,
        Runtime: "cloudfront-js-2.0",
        ...(hasStore && { KeyValueStoreAssociations: [{ KeyValueStoreARN: attribute("Store", "Arn") }] }),
      },
    },
  })
  const behavior = {
    TargetOriginId: "bucket",
    ViewerProtocolPolicy: "redirect-to-https",
    AllowedMethods: ["GET", "HEAD"],
    CachePolicyId: managed.cached,
    ResponseHeadersPolicyId: ref("Headers"),
    Compress: true,
    FunctionAssociations: [
      {
        EventType: "viewer-request",
        FunctionARN: attribute("RequestFunction", "FunctionMetadata.FunctionARN"),
      },
      {
        EventType: "viewer-response",
        FunctionARN: attribute("ResponseFunction", "FunctionMetadata.FunctionARN"),
      },
    ],
  }
  return {
    AWSTemplateFormatVersion: "2010-09-09",
    Description: `The web app ${app} of ${environment}: a private bucket behind CloudFront, and a role for deploys`,
    Parameters: {
      Certificate: { Type: "String", Description: "ARN of the certificate for the host names, in us-east-1" },
      IdentityProvider: { Type: "String", Description: "ARN of the OpenID Connect provider of CI" },
      IdentityHost: {
        Type: "String",
        Default: "token.actions.githubusercontent.com",
        Description: "Its host name, as in the ARN",
      },
      Subject: {
        Type: "String",
        Description: `Who may deploy, such as repo:OWNER/REPOSITORY:environment:${environment}`,
        AllowedPattern: "[^*]+",
      },
      ...(hasBackend && { Backend: { Type: "String", Description: "Host name that /api/* is sent to" } }),
    },
    Resources: {
      Bucket: {
        Type: "AWS::S3::Bucket",
        DeletionPolicy: "Retain",
        UpdateReplacePolicy: "Retain",
        Properties: {
          BucketName: bucket,
          ...private_("BucketOwnerEnforced"),
          LifecycleConfiguration: {
            Rules: [
              {
                Id: "unfinished",
                Status: "Enabled",
                AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
              },
            ],
          },
        },
      },
      BucketPolicy: {
        Type: "AWS::S3::BucketPolicy",
        Properties: {
          Bucket: ref("Bucket"),
          PolicyDocument: {
            Version: "2012-10-17",
            Statement: [
              {
                Sid: "Edge",
                Effect: "Allow",
                Principal: { Service: "cloudfront.amazonaws.com" },
                Action: "s3:GetObject",
                Resource: sub(`\${Bucket.Arn}/${root}*`),
                Condition: fromDistribution,
              },
              {
                // Without this right what is missing is 403 instead of 404. The function turns every address into that of an object, so nobody sees a list.
                Sid: "EdgeKnowsWhatIsMissing",
                Effect: "Allow",
                Principal: { Service: "cloudfront.amazonaws.com" },
                Action: "s3:ListBucket",
                Resource: attribute("Bucket", "Arn"),
                Condition: fromDistribution,
              },
              {
                Sid: "EncryptedConnectionsOnly",
                Effect: "Deny",
                Principal: "*",
                Action: "s3:*",
                Resource: [attribute("Bucket", "Arn"), sub("${Bucket.Arn}/*")],
                Condition: { Bool: { "aws:SecureTransport": "false" } },
              },
            ],
          },
        },
      },
      Logs: {
        Type: "AWS::S3::Bucket",
        DeletionPolicy: "Retain",
        UpdateReplacePolicy: "Retain",
        Properties: {
          // CloudFront writes access logs by an ACL.
          ...private_("BucketOwnerPreferred"),
          LifecycleConfiguration: { Rules: [{ Id: "old", Status: "Enabled", ExpirationInDays: 90 }] },
        },
      },
      AccessControl: {
        Type: "AWS::CloudFront::OriginAccessControl",
        Properties: {
          OriginAccessControlConfig: {
            Name: name,
            OriginAccessControlOriginType: "s3",
            SigningBehavior: "always",
            SigningProtocol: "sigv4",
          },
        },
      },
      ...(hasStore && {
        Store: {
          Type: "AWS::CloudFront::KeyValueStore",
          DeletionPolicy: "Retain",
          UpdateReplacePolicy: "Retain",
          Properties: { Name: name, Comment: `What is live of ${app}` },
        },
      }),
      RequestFunction: edgeFunction(sources.request, requestSettings(settings), "request"),
      ResponseFunction: edgeFunction(sources.response, responseSettings(settings), "response"),
      Headers: {
        Type: "AWS::CloudFront::ResponseHeadersPolicy",
        Properties: {
          ResponseHeadersPolicyConfig: {
            Name: name,
            Comment: `Security headers of ${app}, on errors of its bucket too`,
            ...headersPolicy(securityHeaders(settings)),
          },
        },
      },
      Distribution: {
        Type: "AWS::CloudFront::Distribution",
        Properties: {
          DistributionConfig: {
            Comment: name,
            Enabled: true,
            HttpVersion: "http2and3",
            IPV6Enabled: true,
            Aliases: [...hostnames, ...(previews.domain === undefined ? [] : [`*.${previews.domain}`])],
            ViewerCertificate: {
              AcmCertificateArn: ref("Certificate"),
              MinimumProtocolVersion: "TLSv1.2_2021",
              SslSupportMethod: "sni-only",
            },
            Logging: { Bucket: attribute("Logs", "DomainName"), Prefix: `${name}/`, IncludeCookies: false },
            Origins: [
              {
                Id: "bucket",
                DomainName: attribute("Bucket", "RegionalDomainName"),
                OriginAccessControlId: ref("AccessControl"),
                S3OriginConfig: { OriginAccessIdentity: "" },
              },
              ...(hasBackend
                ? [
                    {
                      Id: "backend",
                      DomainName: ref("Backend"),
                      CustomOriginConfig: {
                        OriginProtocolPolicy: "https-only",
                        OriginSSLProtocols: ["TLSv1.2"],
                      },
                    },
                  ]
                : []),
            ],
            DefaultCacheBehavior: behavior,
            ...(hasBackend && {
              CacheBehaviors: [
                {
                  PathPattern: "/api/*",
                  TargetOriginId: "backend",
                  ViewerProtocolPolicy: "https-only",
                  AllowedMethods: ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
                  CachePolicyId: managed.notCached,
                  OriginRequestPolicyId: managed.allButHost,
                },
              ],
            }),
            // A file that is missing during an upload is not missing for long.
            CustomErrorResponses: [403, 404].map((ErrorCode) => ({ ErrorCode, ErrorCachingMinTTL: 5 })),
          },
        },
      },
      Deployer: {
        Type: "AWS::IAM::Role",
        Properties: {
          MaxSessionDuration: 3_600,
          AssumeRolePolicyDocument: {
            "Fn::Sub": [
              trust,
              { provider: ref("IdentityProvider"), host: ref("IdentityHost"), subject: ref("Subject") },
            ],
          },
          Policies: [
            {
              PolicyName: "deploy",
              PolicyDocument: { Version: "2012-10-17", Statement: deployerRights(root, hasStore, preview) },
            },
          ],
        },
      },
    },
    Outputs: {
      Distribution: { Value: ref("Distribution"), Description: "edge.distribution in deploy.yaml" },
      Address: {
        Value: attribute("Distribution", "DomainName"),
        Description: "What the host names are CNAMEs of",
      },
      Role: { Value: attribute("Deployer", "Arn"), Description: "The role that CI takes for deploys" },
      ...(hasStore && {
        Store: { Value: attribute("Store", "Arn"), Description: "edge.store in deploy.yaml" },
      }),
    },
  }
}

/** The template as YAML, without aliases, which CloudFormation does not read. */
export const infrastructureText = (settings: FrontendSettings, sources: FunctionSources): string =>
  stringify(infrastructure(settings, sources), { aliasDuplicateObjects: false })

/**
 * Headers as CloudFront wants them in a policy: those for security each in a form of its own, which it does not take among the others.
 *
 * @param headers by lower-case names
 * @throws Error for a value that the form has no place for
 */
export function headersPolicy(headers: Record<string, string>): object {
  const Override = true
  const forms: Record<string, (value: string) => object | undefined> = {
    "content-security-policy": (ContentSecurityPolicy) => ({
      ContentSecurityPolicy: { ContentSecurityPolicy, Override },
    }),
    "strict-transport-security": (value) => {
      const [, age, subdomains] = /^max-age=(\d+)(; includeSubDomains)?$/.exec(value) ?? []
      return age === undefined
        ? undefined
        : {
            StrictTransportSecurity: {
              AccessControlMaxAgeSec: Number(age),
              IncludeSubdomains: subdomains !== undefined,
              Override,
            },
          }
    },
    "x-content-type-options": (value) =>
      value === "nosniff" ? { ContentTypeOptions: { Override } } : undefined,
    "x-frame-options": (FrameOption) =>
      ["DENY", "SAMEORIGIN"].includes(FrameOption) ? { FrameOptions: { FrameOption, Override } } : undefined,
    "referrer-policy": (value) => ({ ReferrerPolicy: { ReferrerPolicy: value, Override } }),
  }
  const formed = Object.entries(headers).flatMap(([name, value]) => {
    const form = forms[name]
    if (!form) return []
    const made = form(value)
    if (!made) throw new Error(`a policy of CloudFront cannot say ${name}: ${value}`)
    return [made]
  })
  const others = Object.entries(headers).filter(([name]) => !(name in forms))
  return {
    SecurityHeadersConfig: Object.assign({}, ...formed) as object,
    CustomHeadersConfig: {
      Items: others.map(([Header, Value]) => ({ Header, Value, Override })),
    },
  }
}

const fromDistribution = {
  StringEquals: {
    "AWS:SourceArn": sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}"),
  },
}

/** A bucket that nobody reads but by its policy. */
const private_ = (ObjectOwnership: string) => ({
  PublicAccessBlockConfiguration: {
    BlockPublicAcls: true,
    BlockPublicPolicy: true,
    IgnorePublicAcls: true,
    RestrictPublicBuckets: true,
  },
  OwnershipControls: { Rules: [{ ObjectOwnership }] },
  BucketEncryption: {
    ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
  },
})

/** Text, because a key of a policy cannot come from a parameter otherwise. */
const trust = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { Federated: "${provider}" },
      Action: "sts:AssumeRoleWithWebIdentity",
      Condition: { StringEquals: { "${host}:aud": "sts.amazonaws.com", "${host}:sub": "${subject}" } },
    },
  ],
})

/** What a deploy does, and no more: it changes neither the distribution nor its functions, nor who may read the bucket. */
function deployerRights(root: string, hasStore: boolean, preview: boolean): object[] {
  return [
    // Limited to a prefix, it would not tell what is missing (404) from what is forbidden (403).
    { Effect: "Allow", Action: "s3:ListBucket", Resource: attribute("Bucket", "Arn") },
    {
      Effect: "Allow",
      Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
      Resource: sub(`\${Bucket.Arn}/${root}*`),
    },
    hasStore
      ? {
          Effect: "Allow",
          Action: [
            "cloudfront-keyvaluestore:DescribeKeyValueStore",
            "cloudfront-keyvaluestore:GetKey",
            "cloudfront-keyvaluestore:PutKey",
            ...(preview ? ["cloudfront-keyvaluestore:ListKeys", "cloudfront-keyvaluestore:DeleteKey"] : []),
          ],
          Resource: attribute("Store", "Arn"),
        }
      : {
          Effect: "Allow",
          Action: ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"],
          Resource: sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}"),
        },
  ]
}
