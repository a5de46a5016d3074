"""Writes JSON schemas in the layout of kubeconform: the API of Kubernetes from the package kubernetes-validate, other kinds from CRDs.

usage: schemas.py VERSION CRDS.YAML FOLDER
"""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml


def strict(schema):
    """An unknown property is an error, as it is for a server-side apply."""
    if isinstance(schema, list):
        for value in schema:
            strict(value)
    elif isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    return schema


def main(version, crds, folder):
    target = Path(folder)
    target.mkdir(parents=True)
    package = Path(kubernetes_validate.__file__).parent
    source = package / "kubernetes-json-schema" / f"v{version}-local-strict"
    for file in source.glob("*.json"):
        schema = json.loads(file.read_text().replace("/api/_definitions.json", "_definitions.json"))
        # An address on the web would be the base of the references.
        schema.pop("$id", None)
        (target / file.name).write_text(json.dumps(schema))
    for crd in yaml.safe_load_all(Path(crds).read_text()):
        if not crd or crd["kind"] != "CustomResourceDefinition":
            continue
        group = crd["spec"]["group"].split(".")[0]
        kind = crd["spec"]["names"]["kind"].lower()
        for served in crd["spec"]["versions"]:
            schema = strict(served["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            # YAML reads an example of a time as a date, which JSON does not have.
            (target / f"{kind}-{group}-{served['name']}.json").write_text(json.dumps(schema, default=str))


main(*sys.argv[1:])
