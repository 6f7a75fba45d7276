"""LitServe: one inference process a lane, no batching, as a batch of convolutions saves nothing on a CPU."""

import os
from typing import Annotated

import litserve
from fastapi import Body, Response

from benchmarks.work import ordered


class Likeness(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.work = ordered()

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        return request

    def predict(self, x: bytes) -> bytes:
        return self.work(x)

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/jpeg")


if __name__ == "__main__":
    lanes = int(os.environ["BENCHMARK_PROCESSES"])
    server = litserve.LitServer(
        Likeness(api_path="/answer"), accelerator="cpu", workers_per_device=lanes, timeout=False, fast_queue=False
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCHMARK_PORT"]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        loop="uvloop",
        http="httptools",
        access_log=False,
    )
