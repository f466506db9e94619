"""Ray Serve, batching on: two replicas behind its proxy."""

import os
import time

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.serving.stacks import work


@serve.deployment(num_replicas=2, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.5})
class Denoise:
    """Decode, batch, run, encode."""

    def __init__(self) -> None:
        self.model = work.session()

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0)
    async def run(self, pixels: list) -> list:
        """A batch of pictures."""
        return list(work.run(self.model, work.np.stack(pixels)))

    async def __call__(self, request: Request) -> Response:
        """The raw body."""
        return Response(work.encode(await self.run(work.decode(await request.body()))), media_type="image/png")


if __name__ == "__main__":
    ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Denoise.options(logging_config={"enable_access_log": False}).bind(), route_prefix="/denoise")
    while True:
        time.sleep(1)
