"""The registry that the settings name."""

from __future__ import annotations

from f1.registry.registry import Registry
from f1.settings import RegistrySettings
from servicekit.objects import Keys, Objects


def open_registry(settings: RegistrySettings) -> Registry | None:
    """The registry, None where MODEL_REGISTRY names none. Raises ValueError for settings that cannot be.

    Nothing is asked of the store yet.
    """
    if settings.model_registry is None or settings.model_public_key is None:
        return None
    key, secret = settings.model_registry_key_id, settings.model_registry_secret_key
    endpoint = settings.model_registry_endpoint
    return Registry(
        Objects(
            settings.model_registry,
            str(endpoint) if endpoint else None,
            settings.model_registry_kms_key,
            Keys(key.get_secret_value(), secret.get_secret_value()) if key and secret else None,
            settings.model_registry_region,
        ),
        settings.environment,
        settings.model_public_key,
    )
