"""OpenTelemetry's spans, as FastAPI tells them where OpenTelemetry's own environment variables name an endpoint.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ has these variables.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from opentelemetry import trace
from starlette.types import Scope

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
UNTOLD = ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")  # who asks these wants no trace


@cache
def wanted() -> bool:
    """Whether anybody is to be told."""
    return any(os.environ.get(name) for name in ENDPOINTS)


def options() -> dict[str, Any]:
    """FastAPI's `telemetry`: a span for each request, and nothing of what /metrics and the log tell already."""
    os.environ.setdefault("OTEL_SERVICE_NAME", "denoise")  # else it would be that of an unknown service
    return {"auto_configure": True, "metrics": False, "logs": False, "operation_spans": False, "exclude": _untold}


def _untold(scope: Scope) -> bool:
    return scope["path"] in UNTOLD


def note(told: Mapping[str, object]) -> None:
    """Adds to the span of the request that is being answered, under `denoise.`."""
    trace.get_current_span().set_attributes({f"denoise.{name}": str(value) for name, value in told.items()})
