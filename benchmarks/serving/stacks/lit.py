"""LitServe, batching on: two inference workers, as many API servers, its fast queue."""

import os
from typing import Any

import litserve
import numpy as np
from fastapi import Request, Response

from benchmarks.serving.stacks import work


class Denoise(litserve.LitAPI):
    """Decode, batch, run, encode."""

    def setup(self, device: str) -> None:
        """Once per worker."""
        self.model = work.session()

    def decode_request(self, request: Request) -> np.ndarray:
        """A form's file as pixels."""
        return work.decode(request["file"].file.read())

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Pictures together."""
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The run."""
        return work.run(self.model, x)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """And apart again."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> Any:
        """The answer."""
        return Response(work.encode(output), media_type="image/png")


if __name__ == "__main__":
    api = Denoise(max_batch_size=16, batch_timeout=0.001, api_path="/denoise")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2, fast_queue=True)
    server.run(
        host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=2, generate_client_file=False, log_level="error"
    )
