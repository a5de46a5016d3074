"""Configuration of the recipes API; see servicekit.settings for what all services have."""

from pydantic import Field

from servicekit.settings import RateLimitRule, ServiceSettings


class Settings(ServiceSettings):
    """All settings of the recipes API."""

    token_ttl_seconds: int = Field(28_800, ge=60, le=604_800)
    rate_limit_login: RateLimitRule = "10/minute"
    rate_limit_writes: RateLimitRule = "60/minute"
