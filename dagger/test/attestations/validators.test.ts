// What the reference validators of SPDX, CycloneDX and in-toto say of the documents that this project makes of Trivy's.
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { normalizeCyclonedx, normalizeSpdx } from "../../src/attestations/sbom.js"
import { predicateTypes } from "../../src/attestations/statement.js"
import { said } from "./images.js"
import { folder, program } from "../lib/programs.js"

const image = {
  name: "ghcr.io/owner/api",
  digest: `sha256:${"a".repeat(64)}`,
  platform: "linux/arm64",
}
/** What Trivy 0.66 says of a small image with packages of Debian, Python and npm, one of them under a licence that has no name. */
const sample = (format: "spdx" | "cyclonedx") =>
  JSON.parse(readFileSync(new URL(`samples/trivy.${format}.json`, import.meta.url), "utf8")) as Record<
    string,
    unknown
  >

/** Each prints what is wrong with the file that it is given, and nothing for a good one. */
const validators = {
  spdx: `
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
for fault in validate_full_spdx_document(parse_file(file)):
    print(fault.validation_message)`,
  cyclonedx: `
import json
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(file).read()
version = SchemaVersion.from_version(json.loads(text)["specVersion"])
for fault in JsonStrictValidator(version).validate_str(text, all_errors=True) or ():
    print(fault.data.message)`,
  statement: `
import json
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult
from in_toto_attestation.v1.statement import Statement
for one in json.load(open(file)):
    try:
        statement = Statement.copy_from_pb(ParseDict(one, Statement([], "", {}).pb.__class__()))
        statement.validate()
        kinds = {${JSON.stringify(predicateTypes.provenance)}: Provenance, ${JSON.stringify(predicateTypes.tests)}: TestResult}
        kind = kinds.get(one["predicateType"])
        if kind:
            ParseDict(one["predicate"], kind())
    except Exception as fault:
        print(one["predicateType"], *str(fault).split())`,
}

const python = program(
  "python3",
  ["-c", "import spdx_tools, cyclonedx.validation.json, in_toto_attestation"],
  "",
)
const packages =
  "spdx-tools==0.8.5 'cyclonedx-python-lib[json-validation]==11.12.0' in-toto-attestation==0.9.3"

async function faultsOf(kind: keyof typeof validators, document: unknown): Promise<string[]> {
  // The parser of SPDX goes by the end of the name.
  const file = join(folder, `document.${kind}.json`)
  writeFileSync(file, JSON.stringify(document))
  const ended = await python.run("-c", `file = ${JSON.stringify(file)}\n${validators[kind]}`)
  expect(ended.code, ended.stderr).toBe(0)
  return ended.stdout.split("\n").filter((line) => line !== "")
}

// Python on a busy machine.
describe("a reference validator", { timeout: 10 * 60_000 }, () => {
  if (python.missing !== undefined) {
    it.skip(`is not asked: python3 on the PATH has no validators: pip install ${packages}`)
    return
  }

  it("takes a list of packages in SPDX, and refuses a broken one", async () => {
    const document = normalizeSpdx(sample("spdx"), image)
    expect(await faultsOf("spdx", document)).toEqual([])
    const [first, ...others] = document.relationships as Record<string, unknown>[]
    const relationships = [{ ...first, relatedSpdxElement: "SPDXRef-nowhere" }, ...others]
    expect(await faultsOf("spdx", { ...document, relationships })).not.toEqual([])
  })

  it("takes a list of packages in CycloneDX, and refuses a broken one", async () => {
    const document = normalizeCyclonedx(sample("cyclonedx"), image)
    expect(await faultsOf("cyclonedx", document)).toEqual([])
    expect(await faultsOf("cyclonedx", { ...document, serialNumber: "1" })).not.toEqual([])
  })

  it("takes every statement, and refuses a broken one", async () => {
    // The predicate of a signature is empty, as cosign writes it; this validator wants something in each.
    const statements = said(image, image.platform, { signature: undefined })
    expect(statements).toHaveLength(5)
    expect(await faultsOf("statement", statements)).toEqual([])
    const aboutNothing = statements.map((one) => ({ ...one, subject: [{ digest: {} }] }))
    expect(await faultsOf("statement", aboutNothing)).toHaveLength(statements.length)
    const unknown = statements.map((one) => ({ ...one, predicate: { ...one.predicate, more: 1 } }))
    expect(await faultsOf("statement", unknown)).toEqual([
      expect.stringContaining(`${predicateTypes.provenance} `),
      expect.stringContaining(`${predicateTypes.tests} `),
    ])
  })
})
