"""Backups in S3: an object for each file of the dump, and a manifest that is written last."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import DumpFile, Manifest, is_id, read_manifest
from servicekit.objects import Objects, StorageError

_MANIFEST = "manifest.json"
# A larger file is stored in parts of this size; S3 takes 10,000 parts of a file.
_PART_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20
_DOWNLOAD_ATTEMPTS = 3


class Store:
    """The backups below an address such as s3://bucket/prefix.

    `endpoint` is the address of a store other than Amazon's; credentials and region come from where boto3
    looks for them (AWS_*). Objects are encrypted by the store: with the key `kms_key`, else with its own.

    Raises ValueError for another address. Methods raise BackupError when the store refuses or does not
    answer.
    """

    def __init__(self, location: str, endpoint: str | None = None, kms_key: str | None = None) -> None:
        self._objects = Objects(location, endpoint, kms_key)
        self._endpoint, self._kms_key = endpoint, kms_key

    @property
    def _client(self) -> Any:
        return self._objects.client

    @property
    def _bucket(self) -> str:
        return self._objects.bucket

    @property
    def _encryption(self) -> dict[str, str]:
        return self._objects.encryption

    def location(self, backup: str) -> str:
        """The address of a backup."""
        return self._objects.address(backup)

    def upload(self, manifest: Manifest, folder: Path) -> None:
        """Stores a dump, and its manifest when all files are there."""
        for name, file in manifest.files.items():
            with self._explained("write", f"{manifest.id}/{name}"):
                self._upload_file(folder / name, self._key(manifest.id, name), file)
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

    def snapshots(self) -> "Store":
        """Where the manifests of snapshots of the disk are, which have no files."""
        return Store(self._objects.address("snapshots"), self._endpoint, self._kms_key)

    def note(self, name: str, manifest: Manifest) -> None:
        """Keeps what is known of a backup that is not finished, in place of what was noted by this name."""
        with self._explained("write", f"{manifest.id}/{name}.json"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(manifest.id, f"{name}.json"),
                Body=manifest.to_json().encode(),
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",
                **self._encryption,
            )

    def noted(self, name: str, backup: str) -> Manifest | None:
        """What `note` has kept, None without it."""
        return self._read(backup, f"{name}.json")

    def ids(self) -> list[str]:
        """The newest first. Some may be of backups that were not finished: `find` returns None for these."""
        with self._explained("list"):
            names = self._objects.folders()
        return sorted(filter(is_id, names), reverse=True)

    def remove(self, backup: str) -> None:
        """Removes a backup: its manifest first, so that nobody takes it for a complete one."""
        with self._explained("remove", backup):
            self._objects.remove_folder(backup, first=_MANIFEST)

    def find(self, backup: str) -> Manifest | None:
        """The manifest of a backup, None without one: such a backup was not finished."""
        return self._read(backup, _MANIFEST)

    def _read(self, backup: str, file: str) -> Manifest | None:
        name = f"{backup}/{file}"
        with self._explained("read", name):
            found = self._objects.read(name)
        if found is None:
            return None
        manifest = read_manifest(found.data, self.location(name))
        if manifest.id != backup:
            raise BackupError(f"{self.location(name)} is the manifest of another backup, {manifest.id}")
        return manifest

    def newest(self, before: datetime | None = None) -> Manifest:
        """The newest finished backup; with `before`, the newest of those taken until then."""
        for backup in self.ids():
            manifest = self.find(backup)
            if manifest and (before is None or datetime.fromisoformat(manifest.taken) <= before):
                return manifest
        until = f" of {before.isoformat(timespec='seconds')} or before" if before else ""
        raise BackupError(f"there is no finished backup{until} at {self.location('')}")

    def get(self, backup: str) -> Manifest:
        """The manifest of this backup."""
        if manifest := self.find(backup):
            return manifest
        raise BackupError(f"there is no finished backup at {self.location(backup)}: it has no manifest")

    def download(self, manifest: Manifest, folder: Path) -> None:
        """Writes the files of a backup into the new folder `folder`. Compare them with the manifest."""
        folder.mkdir()
        retrying = Retrying(
            # boto3 repeats a request that fails, but not an answer that breaks off.
            retry=retry_if_exception_type(BotoCoreError),
            stop=stop_after_attempt(_DOWNLOAD_ATTEMPTS),
            reraise=True,
        )
        for name in manifest.files:
            with self._explained("read", f"{manifest.id}/{name}"):
                retrying(self._download_file, self._key(manifest.id, name), folder / name)

    # boto3's own transfers wait for ever when a signal ends one of their tasks.

    def _upload_file(self, path: Path, key: str, file: DumpFile) -> None:
        with path.open("rb") as content:
            if file.bytes > _PART_BYTES:
                self._upload_parts(content, key)
                return
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=b64encode(bytes.fromhex(file.sha256)).decode(),
                **self._encryption,
            )

    def _upload_parts(self, content: BinaryIO, key: str) -> None:
        place = {"Bucket": self._bucket, "Key": key}
        place["UploadId"] = self._client.create_multipart_upload(
            **place, ChecksumAlgorithm="SHA256", **self._encryption
        )["UploadId"]
        parts: list[dict[str, Any]] = []
        try:
            while data := content.read(_PART_BYTES):
                number = len(parts) + 1
                checksum = b64encode(hashlib.sha256(data).digest()).decode()
                stored = self._client.upload_part(
                    **place, PartNumber=number, Body=data, ChecksumSHA256=checksum
                )
                parts.append({"PartNumber": number, "ETag": stored["ETag"], "ChecksumSHA256": checksum})
            self._client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
        except BaseException:
            # Parts of an upload that is not complete are paid for, and no listing shows them.
            self._client.abort_multipart_upload(**place)
            raise

    def _download_file(self, key: str, path: Path) -> None:
        found = self._client.get_object(Bucket=self._bucket, Key=key)
        with path.open("wb") as file, found["Body"] as body:
            while data := body.read(_CHUNK_BYTES):
                file.write(data)

    def _key(self, backup: str, name: str) -> str:
        return self._objects.key(f"{backup}/{name}")

    @contextmanager
    def _explained(self, action: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            raise BackupError(str(error)) from error
        except (BotoCoreError, ClientError) as error:
            raise BackupError(f"cannot {action} {self.location(name)}: {error}") from error
