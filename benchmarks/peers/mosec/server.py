"""mosec: its server in Rust in front of one stage of processes; bytes go through as they are."""

import os

from mosec import Server, Worker

from benchmarks.work import ordered


class Likeness(Worker):
    resp_mime_type = "image/jpeg"

    def __init__(self) -> None:
        super().__init__()
        self.work = ordered()

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> bytes:
        return self.work(data)

    def serialize(self, data: bytes) -> bytes:
        return data


if __name__ == "__main__":
    server = Server()
    server.append_worker(Likeness, num=int(os.environ["BENCHMARK_PROCESSES"]), route="/answer")
    server.run()
