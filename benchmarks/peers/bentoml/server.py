"""BentoML: workers of one thread each, no batching, as a batch of convolutions saves nothing on a CPU."""

import os
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.work import ordered

Jpeg = Annotated[bytes, ContentType("image/jpeg")]


@bentoml.service(
    workers=int(os.environ["BENCHMARK_PROCESSES"]),
    threads=int(os.environ["BENCHMARK_LANES"]),
    http={"host": "127.0.0.1", "port": int(os.environ["BENCHMARK_PORT"])},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    traffic={"timeout": 600},
)
class Likeness:
    def __init__(self) -> None:
        self.work = ordered()

    @bentoml.api(route="/answer")
    def answer(self, picture: Jpeg, /) -> Jpeg:
        return self.work(picture)
