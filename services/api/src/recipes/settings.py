"""Configuration of the recipes API; see servicekit.settings for what all services have."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from servicekit.settings import RateLimitRule, ServiceSettings


class Settings(ServiceSettings):
    """All settings of the recipes API."""

    known_flags: ClassVar[Mapping[str, str]] = {
        "cachedLists": "Browsers and caches may keep lists of recipes and tags for half a minute.",
    }

    token_ttl_seconds: int = Field(28_800, ge=60, le=604_800)
    rate_limit_login: RateLimitRule = "10/minute"
    rate_limit_writes: RateLimitRule = "60/minute"
