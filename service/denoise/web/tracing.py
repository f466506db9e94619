"""OpenTelemetry's spans, as FastAPI tells them where OpenTelemetry's own environment variables name an endpoint.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ has these variables.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from opentelemetry import trace
from starlette.types import Scope

from denoise.web.prefix import own_path

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Probes and scrapes would only fill the traces.
UNTRACED = ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")


@cache
def is_wanted() -> bool:
    """Whether an endpoint for spans is set."""
    return any(os.environ.get(name) for name in ENDPOINTS)


def options() -> dict[str, Any]:
    """FastAPI's `telemetry`: a span for each request, and nothing of what /metrics and the log tell already."""
    os.environ.setdefault("OTEL_SERVICE_NAME", "denoise")  # Otherwise OpenTelemetry names it "unknown_service".
    return {"auto_configure": True, "metrics": False, "logs": False, "operation_spans": False, "exclude": _is_untraced}


def _is_untraced(scope: Scope) -> bool:
    return own_path(scope) in UNTRACED


def note(line: Mapping[str, object]) -> None:
    """Adds to the span of the request that is being answered, under `denoise.`."""
    trace.get_current_span().set_attributes({f"denoise.{name}": str(value) for name, value in line.items()})
