"""A model on disk: a directory that is complete or absent, and is checked in full before it serves.

model-<version>/
  SHA256SUMS                    of every other file
  metadata.json                 what it is: schema hash, libraries, cutoff, revision, metrics, seeds
  golden.json                   features and the probabilities that this model gave for them
  pre-weekend/, post-qualifying/
    booster.ubj  forest.skops   the two experts that are not a few numbers
    logits.json                 the logits, those of the second and third place among them
    grid.json                   win rates by starting place; only after qualifying
    mixture.json                weights of the experts at the start and after the last race
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import xgboost as xgb
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import InconsistentVersionWarning

from f1.features import columns, schema_hash
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Stage
from f1.model.baseline import GridBaseline
from f1.model.ensemble import StageModel
from f1.model.evaluation import Predicted
from f1.model.experts import (
    BOOSTER,
    FOREST,
    LOGITS,
    PRIOR,
    ROUNDS,
    SEED,
    BoostedExpert,
    Expert,
    Followers,
    ForestExpert,
    GridExpert,
    LogitExpert,
)
from f1.model.logit import Logit
from f1.model.mixture import SHARE, Mixture
from f1.model.training import Model

FORMAT = 2
SUMS = "SHA256SUMS"
CURRENT = "current"
GOLDEN_RACES = 3
TOLERANCE = 1e-6
STAGES: tuple[Stage, ...] = (PRE_WEEKEND, POST_QUALIFYING)
LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy", "skops", "xgboost-cpu")
# Another minor version of these may read or compute something else; of the rest, another major version.
EXACT_MINOR = ("scikit-learn", "xgboost-cpu")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# What a forest holds besides what skops itself trusts; a file that asks for anything else is not opened.
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]


class ArtifactError(Exception):
    """An artifact that must not serve. `reason` is a short name of why: missing, checksum, schema …"""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Loaded:
    """A verified artifact, ready to serve."""

    version: str
    stages: dict[Stage, StageModel]
    metadata: dict[str, Any]
    # Of one that comes from the registry: the SHA-256 that names it there.
    digest: str | None = None

    @property
    def identity(self) -> str:
        """Another one for every model that may answer differently."""
        return self.digest or self.version

    @property
    def skill(self) -> float:
        """Log-loss of the model minus that of the baseline of the same run; lower is better."""
        metrics = self.metadata["metrics"]
        return float(metrics["model"]["winner_log_loss"] - metrics["baseline"]["winner_log_loss"])


def libraries() -> dict[str, str]:
    """Versions of what computes the model."""
    return {"python": platform.python_version(), **{name: installed(name) for name in LIBRARIES}}


def save(
    folder: Path, model: Model, golden: list[Predicted], *, git_sha: str, trained_at: dt.datetime
) -> str:
    """Write a model into `folder` and return its version. Nothing appears under its name until all is
    written.

    The version is the data cutoff and a fingerprint of everything but the time and the revision: equal
    data, code
    and seeds give an equal version. An existing equal version is kept as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".model-", dir=folder))
    try:
        for stage, stage_model in model.stages.items():
            _write_stage(work / stage, stage_model)
        _write_json(work / "golden.json", _golden(model, golden))
        metadata = {
            "format": FORMAT,
            "data_cutoff": model.data_cutoff.isoformat(),
            "data_fingerprint": model.data_fingerprint,
            "demo": model.demo,
            "feature_schema_hash": schema_hash(),
            "features": {stage: columns(stage) for stage in STAGES},
            "importances": model.importances,
            "libraries": libraries(),
            "metrics": model.evaluation.as_json(),
            "parameters": {"booster": BOOSTER, "rounds": ROUNDS, "forest": FOREST, "share": SHARE},
            "experts": {stage: model.stages[stage].mixture.weights for stage in STAGES},
            "seeds": {"model": SEED, "bootstrap": SEED},
        }
        version = f"{model.data_cutoff:%Y%m%d}-{_fingerprint(work, metadata)[:10]}"
        metadata |= {"version": version, "git_sha": git_sha, "trained_at": trained_at.isoformat()}
        _write_json(work / "metadata.json", metadata)
        (work / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in _digests(work).items()))
        work.chmod(0o755)
        final = folder / f"model-{version}"
        if not final.exists():
            _sync(work)
            work.rename(final)
        return version
    finally:
        shutil.rmtree(work, ignore_errors=True)


def point(folder: Path, version: str) -> None:
    """Make `version` the one that `current` names. Atomic."""
    _named(version)
    handle, name = tempfile.mkstemp(prefix=".current-", dir=folder)
    with os.fdopen(handle, "w") as stream:
        stream.write(version + "\n")
    os.chmod(name, 0o644)
    os.replace(name, folder / CURRENT)


def current(folder: Path) -> str:
    """The version that `current` names. Raises ArtifactError (reason `missing`) when there is none."""
    try:
        text = (folder / CURRENT).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ArtifactError(
            "missing",
            f"there is no model to use: {CURRENT} cannot be read in {folder} ({error.strerror}); "
            "`f1 train` makes one",
        ) from error
    except UnicodeDecodeError as error:
        raise ArtifactError("missing", f"{CURRENT} does not hold a version") from error
    return _named(text)


def load(folder: Path, version: str) -> Loaded:
    """Read and verify a model: checksums, format, feature schema, libraries, golden predictions.

    Raises ArtifactError that says what is wrong.
    """
    path = folder / f"model-{_named(version)}"
    if not path.is_dir():
        raise ArtifactError("missing", f"there is no model {version}")
    _check_sums(path)
    metadata = _read_json(path / "metadata.json")
    try:
        _check_metadata(metadata, version)
        stages = {stage: _read_stage(path / stage, stage) for stage in STAGES}
        _check_golden(stages, _read_json(path / "golden.json"))
        loaded = Loaded(version, stages, metadata)
        if not np.isfinite(loaded.skill):
            raise ArtifactError("metadata", "the recorded log-loss is not a number")
    except ArtifactError:
        raise
    except Exception as error:
        # Its readers raise whatever they come upon; none of that may take the served model away.
        raise ArtifactError(
            "unreadable", f"model {version} is not what its format says: {error!r}"
        ) from error
    return loaded


def _named(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise ArtifactError("missing", "a version is letters, digits, dots, hyphens and underscores")
    return version


def _write_stage(path: Path, model: StageModel) -> None:
    path.mkdir()
    logits = {"second-form": model.followers.form, "second-recent": model.followers.recent}
    for name, expert in model.experts.items():
        match expert:
            case LogitExpert(logit):
                logits[name] = logit
            case GridExpert(baseline):
                _write_json(path / "grid.json", {"rates": baseline.rates.tolist()})
            case BoostedExpert():
                (path / "booster.ubj").write_bytes(expert.booster.save_raw("ubj"))
            case ForestExpert():
                skops.io.dump(expert.forest, path / "forest.skops")
    _write_json(path / "logits.json", {name: _logit_json(logit) for name, logit in logits.items()})
    _write_json(path / "mixture.json", asdict(model.mixture))


def _logit_json(logit: Logit) -> dict[str, Any]:
    return {
        "names": list(logit.names),
        "mean": logit.mean.tolist(),
        "scale": logit.scale.tolist(),
        "coefficients": logit.coefficients.tolist(),
    }


def _read_logit(value: dict[str, Any]) -> Logit:
    arrays = {key: np.array(value[key], dtype=np.float64) for key in ("mean", "scale", "coefficients")}
    names = tuple(str(name) for name in value["names"])
    if any(array.shape != (len(names),) for array in arrays.values()):
        raise ValueError("a logit's numbers are not one for each input")
    return Logit(names, **arrays)


def _read_stage(path: Path, stage: Stage) -> StageModel:
    logits = {name: _read_logit(value) for name, value in _read_json(path / "logits.json").items()}
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray((path / "booster.ubj").read_bytes()))
    experts: dict[str, Expert] = {name: LogitExpert(logits[name]) for name in LOGITS[stage]}
    if stage == POST_QUALIFYING:
        rates = np.array(_read_json(path / "grid.json")["rates"], dtype=np.float64)
        experts["grid"] = GridExpert(GridBaseline(rates))
    experts["boosted"] = BoostedExpert(stage, logits["form"], booster)
    experts["forest"] = ForestExpert(stage, _read_forest(path / "forest.skops", stage))
    mixture = Mixture(**_read_json(path / "mixture.json"))
    for weights in (mixture.prior, mixture.weights):
        if weights.keys() != PRIOR[stage].keys() or not abs(sum(weights.values()) - 1.0) < TOLERANCE:
            raise ValueError("mixture.json must hold a weight for each expert, summing to 1")
    return StageModel(stage, experts, Followers(logits["second-form"], logits["second-recent"]), mixture)


def _read_forest(path: Path, stage: Stage) -> RandomForestClassifier:
    unknown = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)
    if unknown:
        raise ArtifactError("untrusted", f"{stage}/forest.skops asks for {', '.join(sorted(unknown))}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            forest = skops.io.load(path, trusted=TRUSTED_TYPES)
        except InconsistentVersionWarning as error:
            raise ArtifactError("libraries", f"{stage}/forest.skops: {error}") from error
    if not isinstance(forest, RandomForestClassifier):
        raise ArtifactError("unreadable", f"{stage}/forest.skops is not a random forest")
    return forest


def _golden(model: Model, items: list[Predicted]) -> list[dict[str, Any]]:
    """What the final model says about a few races, with the features it was given."""
    golden = []
    for item in items:
        win, podium = model.stages[item.stage].predict(item.features)
        rows = item.features.astype(object).where(item.features.notna(), None)
        golden.append(
            {
                "stage": item.stage,
                "race": f"{item.race.race.season}/{item.race.race.round}",
                "drivers": [str(driver) for driver in item.features.index],
                "features": rows.to_numpy().tolist(),
                "win": win.tolist(),
                "podium": podium.tolist(),
            }
        )
    return golden


def golden_races(items: list[Predicted]) -> list[Predicted]:
    """The last races of each stage: what the golden file is made of."""
    return [item for stage in STAGES for item in [i for i in items if i.stage == stage][-GOLDEN_RACES:]]


def _check_golden(stages: dict[Stage, StageModel], golden: list[dict[str, Any]]) -> None:
    if {item["stage"] for item in golden} != set(STAGES):
        raise ArtifactError("golden", "golden.json must hold predictions of both stages")
    for item in golden:
        stage: Stage = item["stage"]
        features = pd.DataFrame(
            item["features"], index=item["drivers"], columns=columns(stage), dtype=np.float64
        )
        for name, got in zip(("win", "podium"), stages[stage].predict(features), strict=True):
            off = float(np.max(np.abs(got - np.array(item[name], dtype=np.float64))))
            if not off <= TOLERANCE:
                raise ArtifactError(
                    "golden",
                    f"{stage} {item['race']}: {name} probabilities are off by {off:.3g}, "
                    f"allowed is {TOLERANCE:g}",
                )


def _check_metadata(metadata: dict[str, Any], version: str) -> None:
    if metadata["format"] != FORMAT:
        raise ArtifactError("format", f"format {metadata['format']} is not the one read here ({FORMAT})")
    if metadata["version"] != version:
        raise ArtifactError(
            "metadata", f"metadata.json says version {metadata['version']}, the folder {version}"
        )
    if metadata["feature_schema_hash"] != schema_hash():
        raise ArtifactError("schema", "it was trained on other features than this program computes")
    here = libraries()
    for name in LIBRARIES:
        theirs, ours = metadata["libraries"][name], here[name]
        parts = 2 if name in EXACT_MINOR else 1
        if theirs.split(".")[:parts] != ours.split(".")[:parts]:
            raise ArtifactError("libraries", f"it was trained with {name} {theirs}, here is {ours}")


def _digests(path: Path) -> dict[str, str]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != SUMS)
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _check_sums(path: Path) -> None:
    try:
        lines = (path / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError("checksum", f"{SUMS} cannot be read") from error
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = _digests(path)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            state = (
                "is missing"
                if name not in found
                else "is not listed" if name not in expected else "was changed"
            )
            raise ArtifactError("checksum", f"{name} {state}")


def _fingerprint(work: Path, metadata: dict[str, Any]) -> str:
    # A skops file is a zip with times in it: the other files, the golden one above all, say the same.
    digests = {name: digest for name, digest in _digests(work).items() if not name.endswith(".skops")}
    return hashlib.sha256(json.dumps([digests, metadata], sort_keys=True).encode()).hexdigest()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError("unreadable", f"{path.name} cannot be read") from error


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
