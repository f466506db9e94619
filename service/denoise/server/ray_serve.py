"""The service as replicas on a Ray cluster, by Ray Serve; deploy/ray/serve.yaml starts it. Knows Ray, as bulk does."""

import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray looks at this when it is imported: its makers get no statistics.

from fastapi import Request, Response
from ray import serve
from starlette.routing import Route

from denoise import logs, metrics
from denoise.settings import read
from denoise.web.app import App, create_app

ANSWERED_S = 5.0  # A replica that has not told its numbers by then is left out.


def app() -> App:
    """What a replica serves: the service, but that `/metrics` has the numbers of all replicas, whichever is asked."""
    settings = read()
    logs.start(settings.log)
    made = create_app(settings)
    made.router.routes.insert(0, Route("/metrics", _metrics))
    return made


@serve.deployment(name="denoise")
@serve.ingress(app)
class Replica:
    """A process of Ray Serve's; it is ready when its models are."""

    async def numbers(self) -> tuple[str, str]:
        """Its name, and its own numbers in Prometheus' form."""
        return serve.get_replica_context().replica_tag, metrics.exposition("")[0].decode()


async def _metrics(_request: Request) -> Response:
    here = serve.get_replica_context()
    handle = serve.get_deployment_handle(here.deployment, here.app_name)
    told = await handle.broadcast("numbers").results_async(timeout_s=ANSWERED_S, return_exceptions=True)
    alive: dict[str, str] = dict(one for one in told if isinstance(one, tuple))
    content, media_type = metrics.merge_replicas(alive)
    return Response(content, media_type=media_type)


served = Replica.bind()  # type: ignore[attr-defined]  # the decorator makes a deployment of it
