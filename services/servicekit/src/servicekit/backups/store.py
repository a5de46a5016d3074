"""Backups in S3: an object for each file of the dump, and a manifest that is written last."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Manifest, read_manifest

_MANIFEST = "manifest.json"
_LOCATION = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*))?")
# Without threads, a signal ends a transfer at once.
_TRANSFER = TransferConfig(use_threads=False, multipart_threshold=64 * 2**20, multipart_chunksize=64 * 2**20)


class Store:
    """The backups below an address such as s3://bucket/prefix.

    `endpoint` is the address of a store other than Amazon's; credentials and region come from where boto3
    looks for them (AWS_*). Objects are encrypted by the store: with the key `kms_key`, else with its own.

    Raises ValueError for another address. Methods raise BackupError when the store refuses or does not
    answer.
    """

    def __init__(self, location: str, endpoint: str | None = None, kms_key: str | None = None) -> None:
        found = _LOCATION.fullmatch(location)
        if found is None:
            raise ValueError(f"{location!r} should look like s3://bucket/prefix")
        self._bucket = found["bucket"]
        prefix = (found["prefix"] or "").strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
            if kms_key
            else {"ServerSideEncryption": "AES256"}
        )
        self._endpoint = endpoint

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 5},
                # On most stores other than Amazon's, a bucket is not a host name.
                s3={"addressing_style": "path"} if self._endpoint else None,
            ),
        )

    def location(self, backup: str) -> str:
        """The address of a backup."""
        return f"s3://{self._bucket}/{self._prefix}{backup}"

    def upload(self, manifest: Manifest, folder: Path) -> None:
        """Stores a dump, and its manifest when all files are there."""
        for name in manifest.files:
            with self._explained("write", f"{manifest.id}/{name}"):
                self._client.upload_file(
                    str(folder / name),
                    self._bucket,
                    self._key(manifest.id, name),
                    ExtraArgs={"ChecksumAlgorithm": "SHA256", **self._encryption},
                    Config=_TRANSFER,
                )
        with self._explained("write", f"{manifest.id}/{_MANIFEST}"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(manifest.id, _MANIFEST),
                Body=manifest.to_json().encode(),
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",
                # A backup is never replaced.
                IfNoneMatch="*",
                **self._encryption,
            )

    def ids(self) -> list[str]:
        """The newest first. Some may be of backups that were not finished: `find` returns None for these."""
        with self._explained("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            folders = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return sorted((folder.removeprefix(self._prefix).rstrip("/") for folder in folders), reverse=True)

    def find(self, backup: str) -> Manifest | None:
        """The manifest of a backup, None without one: such a backup was not finished."""
        name = f"{backup}/{_MANIFEST}"
        with self._explained("read", name):
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._key(backup, _MANIFEST))
                data = found["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                    return None
                raise
        manifest = read_manifest(data, self.location(name))
        if manifest.id != backup:
            raise BackupError(f"{self.location(name)} is the manifest of another backup, {manifest.id}")
        return manifest

    def newest(self) -> Manifest:
        """The newest finished backup."""
        for backup in self.ids():
            if manifest := self.find(backup):
                return manifest
        raise BackupError(f"there is no finished backup at {self.location('')}")

    def get(self, backup: str) -> Manifest:
        """The manifest of this backup."""
        if manifest := self.find(backup):
            return manifest
        raise BackupError(f"there is no finished backup at {self.location(backup)}: it has no manifest")

    def download(self, manifest: Manifest, folder: Path) -> None:
        """Writes the files of a backup into the new folder `folder`. Compare them with the manifest."""
        folder.mkdir()
        for name in manifest.files:
            with self._explained("read", f"{manifest.id}/{name}"):
                self._client.download_file(
                    self._bucket, self._key(manifest.id, name), str(folder / name), Config=_TRANSFER
                )

    def _key(self, backup: str, name: str) -> str:
        return f"{self._prefix}{backup}/{name}"

    @contextmanager
    def _explained(self, action: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            raise BackupError(f"cannot {action} {self.location(name)}: {error}") from error
