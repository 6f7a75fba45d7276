"""Microseconds that telling about a request costs.

    python -m benchmarks.telemetry

A request without any work: eight stages, two rows through lanes, its answer and its line in the log (to nowhere). The
best of many rounds, since everything else on the machine only adds to it. With PROMETHEUS_MULTIPROC_DIR set to an empty
folder: what it costs where workers share their metrics. With OTEL_TRACES_EXPORTER=otlp: with traces, to nobody.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from service.logs import configure_logging
from service.telemetry import RequestTelemetry, Telemetry
from service.tracing import Tracing

ROUNDS = 20
REPEATS = 500
STAGES = ("decode", "detect", "cut", "translate", "cut", "identity", "paste", "encode")
HEADERS = [(name, b"something") for name in (b"host", b"accept", b"user-agent", b"content-type", b"content-length")]


class Route:
    """What a router leaves in the scope."""

    path = "/translate"


def best(work: Callable[[], None]) -> float:
    """Microseconds of one `work` of REPEATS, in the best of all rounds."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - started)
    return 1e6 * min(rounds) / REPEATS


def main() -> None:
    """Print the figures."""
    telemetry = Telemetry(Tracing.from_environment(os.environ))

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        for stage in STAGES:
            with scope["state"]["stopwatch"].stage(stage):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})

    async def nothing(message: Message) -> None:
        pass

    async def requests() -> None:
        app = RequestTelemetry(handler, telemetry)
        for _ in range(REPEATS):
            scope = {"type": "http", "scheme": "http", "method": "POST", "headers": HEADERS}
            scope |= {"path": Route.path, "route": Route}
            await app(scope, None, nothing)  # type: ignore[arg-type]

    def rows() -> None:
        for _ in range(REPEATS):
            for lane in ("caricature", "sphereface"):
                telemetry.queued(lane, 1, 0.1)
                telemetry.waited(lane, "interactive", 0.1)
                telemetry.queued(lane, 0, 0.1)
                telemetry.ran(lane, 1, 1, 0.1)
                telemetry.worked(0.1, False)

    def scrapes() -> None:
        for _ in range(REPEATS // 100):
            telemetry.exposition(None)

    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    configure_logging("info")
    print(f"middleware, stages and log {best(lambda: asyncio.run(requests())):7.1f} us")
    print(f"two rows in lanes          {best(rows):7.1f} us")
    print(f"a scrape                   {best(scrapes) * 100:7.0f} us")


if __name__ == "__main__":
    main()
