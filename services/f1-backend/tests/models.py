"""A registry of models in a real S3 server, for tests."""

import os
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from f1.registry import package
from f1.registry.registry import Registry
from servicekit.objects import Objects
from servicekit.testing_storage import CREDENTIALS, Bucket, bucket_behind_proxy, running_moto


def new_key() -> str:
    return pem(ec.generate_private_key(ec.SECP256R1()))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY = new_key()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with running_moto(tmp_path_factory.mktemp("moto") / "log") as port:
            yield port


@pytest.fixture
def bucket(moto: int) -> Iterator[Bucket]:
    with bucket_behind_proxy(moto, f"models-{os.urandom(4).hex()}") as made:
        yield made


def registry_of(bucket: Bucket, environment: str = "staging", key: str = KEY) -> Registry:
    objects = Objects(f"s3://{bucket.name}/f1", bucket.endpoint)
    return Registry(objects, environment, package.public_key_of(key))


@pytest.fixture
def registry(bucket: Bucket) -> Registry:
    return registry_of(bucket)
