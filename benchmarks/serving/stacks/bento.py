"""BentoML, batching on: an API service before a batchable one, each in processes of its own."""

from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np

from benchmarks.serving.stacks import work


@bentoml.service(workers=2, traffic={"timeout": 30})
class Model:
    """The run."""

    def __init__(self) -> None:
        self.model = work.session()

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=1000)
    def run(self, pixels: np.ndarray) -> np.ndarray:
        """A batch of pictures."""
        return work.run(self.model, pixels)


@bentoml.service(workers=2, traffic={"timeout": 30}, runner_connection={"max_requests": 10_000_000})
class Denoise:
    """The way in and out."""

    model = bentoml.depends(Model)

    @bentoml.api(route="/denoise")
    async def denoise(self, file: Path) -> Annotated[Path, bentoml.validators.ContentType("image/png")]:
        """A form's file."""
        restored = await self.model.to_async.run(work.decode(file.read_bytes())[None])
        answer = file.with_suffix(".answer.png")
        answer.write_bytes(work.encode(restored[0]))
        return answer
