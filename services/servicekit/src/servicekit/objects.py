"""Objects in S3 or a store like it, below an address such as s3://bucket/prefix."""

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_LOCATION = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*))?")
_ABSENT = ("NoSuchKey", "404")
# What a store answers to a write whose condition does not hold.
_CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class StorageError(Exception):
    """The store refuses or does not answer."""


class Changed(StorageError):
    """Somebody else has written the object, so it was not written."""


@dataclass(frozen=True)
class Stored:
    """The content of an object, and the version that a conditional write names."""

    data: bytes
    version: str


@dataclass(frozen=True)
class Keys:
    """Credentials of their own, in place of those that boto3 finds."""

    id: str
    secret: str = field(repr=False)


class Objects:
    """The objects below an address.

    `endpoint` is the address of a store other than Amazon's. Without `keys` and `region` boto3 looks for them
    (AWS_*). Objects are encrypted by the store: with the key `kms_key`, else with its own.

    Raises ValueError for another address. Methods raise StorageError when the store refuses or does not
    answer.
    """

    def __init__(
        self,
        location: str,
        endpoint: str | None = None,
        kms_key: str | None = None,
        keys: Keys | None = None,
        region: str | None = None,
    ) -> None:
        found = _LOCATION.fullmatch(location)
        if found is None:
            raise ValueError(f"{location!r} should look like s3://bucket/prefix")
        self.bucket = found["bucket"]
        prefix = (found["prefix"] or "").strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self.encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
            if kms_key
            else {"ServerSideEncryption": "AES256"}
        )
        self._endpoint, self._keys, self._region = endpoint, keys, region

    @cached_property
    def client(self) -> Any:
        """boto3's client."""
        return boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            aws_access_key_id=self._keys and self._keys.id,
            aws_secret_access_key=self._keys and self._keys.secret,
            region_name=self._region,
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 5},
                # On most stores other than Amazon's, a bucket is not a host name.
                s3={"addressing_style": "path"} if self._endpoint else None,
                # Stores like it know fewer checksums than Amazon's.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def key(self, name: str) -> str:
        """The key of an object."""
        return f"{self._prefix}{name}"

    def address(self, name: str) -> str:
        """Where it is, for people."""
        return f"s3://{self.bucket}/{self.key(name)}"

    def folders(self, under: str = "") -> list[str]:
        """Names of the folders directly below one that ends in a slash."""
        with explained("list", self.address(under)):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.key(under), Delimiter="/"
            )
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return [folder.removeprefix(self.key(under)).rstrip("/") for folder in found]

    def written(self, under: str) -> dict[str, datetime]:
        """When each object whose name begins so was written, by its name without that beginning."""
        with explained("list", self.address(under)):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.key(under)
            )
            found = [each for page in pages for each in page.get("Contents", [])]
        return {each["Key"].removeprefix(self.key(under)): each["LastModified"] for each in found}

    def read(self, name: str) -> Stored | None:
        """An object, None when there is none."""
        with explained("read", self.address(name)):
            try:
                found = self.client.get_object(Bucket=self.bucket, Key=self.key(name))
                return Stored(found["Body"].read(), found["ETag"])
            except ClientError as error:
                if error.response["Error"]["Code"] in _ABSENT:
                    return None
                raise

    def create(self, name: str, data: bytes) -> str:
        """Writes a new object and returns its version. Raises Changed when there is one."""
        return self._write(name, data, {"IfNoneMatch": "*"})

    def replace(self, name: str, data: bytes, version: str) -> str:
        """Writes an object in the place of this version, and returns its new one.

        Raises Changed when it has another version or is gone.
        """
        return self._write(name, data, {"IfMatch": version})

    def remove_folder(self, folder: str, first: str) -> None:
        """Removes all objects of a folder, the one named `first` before the others."""
        with explained("remove", self.address(folder)):
            self.client.delete_object(Bucket=self.bucket, Key=self.key(f"{folder}/{first}"))
            for name in self.written(f"{folder}/"):
                self.client.delete_object(Bucket=self.bucket, Key=self.key(f"{folder}/{name}"))

    def _write(self, name: str, data: bytes, condition: dict[str, str]) -> str:
        with explained("write", self.address(name)):
            try:
                stored = self.client.put_object(
                    Bucket=self.bucket,
                    Key=self.key(name),
                    Body=data,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=b64encode(sha256(data).digest()).decode(),
                    **condition,
                    **self.encryption,
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in _CHANGED or ("IfMatch" in condition and code in _ABSENT):
                    raise Changed(f"{self.address(name)} was written by somebody else meanwhile") from error
                raise
        return str(stored["ETag"])


@contextmanager
def explained(action: str, address: str) -> Iterator[None]:
    """Raises StorageError in place of what boto3 raises."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"cannot {action} {address}: {error}") from error
