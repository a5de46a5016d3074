"""A model as it is kept: a folder of files, a manifest that names it, and a signature over all of it.

model-<version>/     the artifact, see f1.model.artifact
record.json          where it comes from and what the gate said
walk-forward.json    what it would have predicted of past races, for a comparison with those that come later
MODEL_CARD.md        the same for people
sbom.cdx.json        the Python packages that it was trained with and is served by (CycloneDX)

The manifest holds the size and the SHA-256 of each file, and its own SHA-256 is the model's digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from contextlib import contextmanager
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from f1.history import POST_QUALIFYING, PRE_WEEKEND, Stage
from f1.model.artifact import ArtifactError
from f1.model.evaluation import Predicted

SCHEMA = 1
MANIFEST = "manifest.json"
SIGNATURE = "model.sig"
RECORD = "record.json"
WALK_FORWARD = "walk-forward.json"
CARD = "MODEL_CARD.md"
SBOM = "sbom.cdx.json"
DIGEST = re.compile(r"[0-9a-f]{64}")
_KIND = "that of an elliptic curve, such as `openssl ecparam -name prime256v1 -genkey -noout` makes"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

Race = tuple[Stage, int, int]
"""Stage, season, round."""


@dataclass(frozen=True)
class FileOf:
    """What the manifest says of a file."""

    bytes: int
    sha256: str


Manifest = Mapping[str, FileOf]


@dataclass(frozen=True)
class Record:
    """Where a model comes from, and what the gate said of it."""

    version: str
    data_hash: str
    data_cutoff: str
    races: int
    code: str
    machine: str
    trained_at: str
    demo: bool
    # The digest of the champion that it was judged against.
    champion: str | None
    # `better`, `unproven` or `refused`.
    verdict: str
    reason: str
    # By name, each in a sentence.
    checks: Mapping[str, str]
    metrics: Mapping[str, Any]


def digest_of(manifest: bytes) -> str:
    """The digest of a model, from its manifest."""
    return hashlib.sha256(manifest).hexdigest()


def describe(folder: Path) -> Manifest:
    """The files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileOf(
            path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in files
    }


def manifest_text(files: Manifest) -> bytes:
    """The manifest as it is stored."""
    content = {"schema": SCHEMA, "files": {name: asdict(file) for name, file in files.items()}}
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def read_manifest(data: bytes, digest: str) -> Manifest:
    """Raises ArtifactError for another manifest than the digest names, another schema, and names of files
    that lead out of the model's folder."""
    if digest_of(data) != digest:
        raise ArtifactError("changed", f"{MANIFEST} was changed: it is not the one of {short(digest)}")
    files: dict[str, FileOf] = {}
    try:
        content = json.loads(data)
        schema = content["schema"]
        if schema == SCHEMA:
            for name, file in content["files"].items():
                files[str(name)] = FileOf(int(file["bytes"]), str(file["sha256"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError("schema", f"{MANIFEST} is not the manifest of a model") from error
    if schema != SCHEMA:
        raise ArtifactError("schema", f"{MANIFEST} has schema {schema}, the one read here is {SCHEMA}")
    for name in files:
        if not _NAME.fullmatch(name):
            raise ArtifactError(
                "path", f"{MANIFEST} names {name!r}, which is no file inside the model's folder"
            )
    return files


def check_files(folder: Path, expected: Manifest) -> None:
    """Raises ArtifactError that names what is missing, extra, truncated or changed."""
    found = describe(folder)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise ArtifactError("missing-file", f"{name} is missing")
        if name not in expected:
            raise ArtifactError("extra-file", f"{name} is not in {MANIFEST}")
        have, want = found[name], expected[name]
        if have.bytes < want.bytes:
            raise ArtifactError("truncated", f"{name} is truncated: {have.bytes} of {want.bytes} bytes")
        if have != want:
            raise ArtifactError("changed", f"{name} was changed")


def public_key_of(private_key: str) -> str:
    """The public key that belongs to a private one, both PEM. Raises ValueError for another kind of key."""
    key = load_pem_private_key(private_key.encode(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError(f"the signing key should be {_KIND}")
    return _pem(key.public_key())


def read_public_key(text: str) -> str:
    """A public key in its usual form (PEM). Raises ValueError for anything else."""
    key = load_pem_public_key(text.encode())
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError(f"the public key should be {_KIND}")
    return _pem(key)


def _pem(key: EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(folder: Path, private_key: str) -> bytes:
    """An OpenSSF model signature (a Sigstore bundle) over every file of a folder."""
    # It brings Sigstore along, which nothing else needs.
    from model_signing import signing

    with tempfile.TemporaryDirectory() as work, _file(work, "key.pem", private_key.encode()) as key:
        signature = Path(work) / SIGNATURE
        config = signing.Config().set_hashing_config(_hashing())
        config.use_elliptic_key_signer(private_key=key).sign(folder, signature)
        return signature.read_bytes()


def verify(folder: Path, signature: bytes | None, public_key: str, files: Manifest) -> None:
    """Raises ArtifactError unless the key's owner has signed exactly these files."""
    from model_signing import verifying

    if signature is None:
        raise ArtifactError("unsigned", f"it has no signature ({SIGNATURE})")
    with (
        tempfile.TemporaryDirectory() as work,
        _file(work, "key.pem", public_key.encode()) as key,
        _file(work, SIGNATURE, signature) as path,
    ):
        config = verifying.Config().set_hashing_config(_hashing())
        try:
            config.use_elliptic_key_verifier(public_key=key).verify(folder, path)
            signed = _signed(signature)
        except InvalidSignature as error:
            raise ArtifactError("signature", "its signature is not that of the key it names") from error
        except Exception as error:
            # Its readers raise whatever they come upon, and so does a key that is not the one expected.
            other = "Key mismatch" in str(error)
            raise ArtifactError(
                "key" if other else "signature",
                "it was signed by another key" if other else f"its signature does not hold: {error}",
            ) from error
    # A signature may name files elsewhere, or files that it leaves out.
    if signed != {name: file.sha256 for name, file in files.items()}:
        raise ArtifactError("signature", f"the files that were signed are not those of {MANIFEST}")


def _hashing() -> Any:
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)


def _signed(signature: bytes) -> dict[str, str]:
    envelope = json.loads(signature)["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    return {each["name"]: each["digest"] for each in statement["predicate"]["resources"]}


@contextmanager
def _file(folder: str, name: str, content: bytes) -> Iterator[Path]:
    path = Path(folder) / name
    path.touch(mode=0o600)
    path.write_bytes(content)
    yield path


def write(folder: Path, record: Record, predicted: Sequence[Predicted]) -> None:
    """Write the files beside the artifact, which is in the folder already."""
    _write_json(folder / RECORD, {"schema": SCHEMA, **asdict(record)})
    _write_json(folder / WALK_FORWARD, [_prediction(item) for item in predicted])
    _write_json(folder / SBOM, sbom())
    (folder / CARD).write_text(card(record), encoding="utf-8")


def read_record(data: bytes) -> Record:
    """Raises ArtifactError for another schema."""
    try:
        content = json.loads(data)
        schema = content.pop("schema")
        if schema == SCHEMA:
            return Record(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError("schema", f"{RECORD} is not the record of a model") from error
    raise ArtifactError("schema", f"{RECORD} has schema {schema}, the one read here is {SCHEMA}")


def read_walk_forward(data: bytes) -> dict[Race, dict[str, float]]:
    """Win probabilities by race and driver. Raises ArtifactError for anything else."""
    try:
        return {
            (item["stage"], item["season"], item["round"]): dict(
                zip(item["drivers"], item["win"], strict=True)
            )
            for item in json.loads(data)
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError("schema", f"{WALK_FORWARD} holds no predictions") from error


def _prediction(item: Predicted) -> dict[str, Any]:
    race = item.race.race
    return {
        "stage": item.stage,
        "season": race.season,
        "round": race.round,
        "drivers": list(item.drivers),
        "win": [float(p) for p in item.win],
    }


def sbom() -> dict[str, Any]:
    """The installed Python packages, as CycloneDX lists them."""
    packages = sorted({(d.metadata["Name"].lower(), d.version) for d in distributions()})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [
            {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
            for name, version in packages
        ],
    }


def card(record: Record) -> str:
    """The model card."""
    scores = record.metrics[POST_QUALIFYING]
    rows = [("**model**", scores["model"])] + [(each["name"], each["scores"]) for each in scores["baselines"]]
    table = "\n".join(
        f"| {name} | {of['winner_log_loss']:.4f} | {of['winner_top1']:.1%} | {of['podium_precision']:.1%} "
        f"| {of['favourite']['predicted']:.1%}, {of['favourite']['observed']:.1%} |"
        for name, of in rows
    )
    before = record.metrics[PRE_WEEKEND]["model"]
    checks = "\n".join(f"- {name}: {text}" for name, text in record.checks.items())
    return f"""# Model {record.version}

Chances of winning and of a podium in Formula 1 races, for people who follow the sport. Not for betting.
{"It was trained on made-up seasons, for demonstration." if record.demo else ""}
- Trained {record.trained_at} on {record.races} races until {record.data_cutoff}, data {record.data_hash}
- Code {record.code}, on {record.machine}
- Verdict: {record.verdict}; {record.reason}

## How good its predictions were

Seasons {", ".join(map(str, scores["seasons"]))}, walking forward: each race predicted from those before it.

| after qualifying | log-loss of the winner | winner predicted | podium precision | favourite: says, wins |
| --- | --- | --- | --- | --- |
{table}

Before qualifying: log-loss {before["winner_log_loss"]:.4f}, winner predicted {before["winner_top1"]:.1%}.

## Checks

{checks}
"""


def short(digest: str) -> str:
    """A digest as messages name it."""
    return digest[:12]


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
