"""OpenTelemetry gets a span of each request, at an address that is named; the service needs neither."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.conftest import NOISY_7, Server

SEVEN = NOISY_7.read_bytes()
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(ThreadingHTTPServer):
    """Takes what OpenTelemetry's protocol brings over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[ExportTraceServiceRequest] = []


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(ExportTraceServiceRequest.FromString(content))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the spans are what is looked at."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_each_request_is_a_span_of_its_callers_trace(collector: Collector) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    server = Server(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, DENOISE_WORKERS="2", DENOISE_DRAIN_SECONDS="0.2")
    url = server.url()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "seven"}
    assert httpx2.post(f"{url}/denoise?model=conv_dae", content=SEVEN, headers=headers).status_code == 200
    assert httpx2.post(f"{url}/denoise", content=b"no picture").status_code == 415
    assert httpx2.get(f"{url}/models/conv_dae").status_code == 200
    assert httpx2.get(f"{url}/livez").status_code == 200
    server.ended(signal.SIGTERM)
    resources = [resource for request in collector.taken for resource in request.resource_spans]
    services = {(a.key, a.value.string_value) for resource in resources for a in resource.resource.attributes}
    assert ("service.name", "denoise") in services
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    assert sorted(span.name for span in spans) == ["GET /models/{name}", "POST /denoise", "POST /denoise"]
    (of_caller,) = (span for span in spans if span.trace_id.hex() == TRACE)
    assert of_caller.parent_span_id.hex() == PARENT
    told = {a.key: a.value.string_value for a in of_caller.attributes}
    assert (told["denoise.model"], told["denoise.request_id"]) == ("conv_dae", "seven")
    assert "infer;dur=" in told["denoise.stages"]


def test_a_collector_that_does_not_answer_is_in_nobodys_way() -> None:
    server = Server(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", DENOISE_WORKERS="1", DENOISE_DRAIN_SECONDS="0")
    url = server.url()
    assert httpx2.post(f"{url}/denoise", content=SEVEN).status_code == 200
    server.ended(signal.SIGTERM)
    assert server.process.returncode == 0
