"""Prometheus metrics that all services have. Services add their own to the same default registry."""

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter("http_requests_total", "Requests answered", ["method", "route", "status"])
HTTP_DURATION = Histogram(
    "http_request_duration_seconds",
    "Time from the request's head to the end of the answer",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0),
)
HTTP_IN_FLIGHT = Gauge("http_requests_in_flight", "Requests being answered now")
APP_INFO = Gauge("app_info", "Always 1; the labels say what runs", ["service", "version", "revision"])
DB_POOL_SIZE = Gauge("db_pool_size", "Most connections that the pool may open")
DB_POOL_IN_USE = Gauge("db_pool_in_use", "Connections of the pool that are in use now")
CACHE_REQUESTS = Counter(
    "cache_requests_total",
    "Cache reads: hit, miss, or unavailable when Redis did not answer",
    ["cache", "result"],
)
REDIS_ERRORS = Counter("redis_errors_total", "Calls to Redis that failed")
RATE_LIMITED = Counter("rate_limited_total", "Requests refused by a rate limit", ["limit"])
WEB_VIEWS = Counter("web_views_total", "Pages of the web app that browsers told of", ["release", "config"])
WEB_FAILED_VIEWS = Counter(
    "web_failed_views_total", "Pages of these in which something failed", ["release", "config"]
)
WEB_VITALS = Counter(
    "web_vitals_total",
    "Pages that were left, by how fast they were: LCP, INP and CLS",
    ["release", "config", "name", "rating"],
)
