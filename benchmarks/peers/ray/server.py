"""Ray Serve: one replica a lane behind Ray's HTTP proxy."""

import os

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.work import ordered

PROCESSES = int(os.environ["BENCHMARK_PROCESSES"])


@serve.deployment(
    num_replicas=PROCESSES,
    max_ongoing_requests=64,
    ray_actor_options={"num_cpus": 2 / PROCESSES},
    logging_config={"log_level": "WARNING", "enable_access_log": False},
)
class Likeness:
    def __init__(self) -> None:
        self.work = ordered()

    async def __call__(self, request: Request) -> Response:
        return Response(self.work(await request.body()), media_type="image/jpeg")


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(os.environ["BENCHMARK_PORT"])},
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )
    serve.run(Likeness.bind(), route_prefix="/answer", blocking=True)
