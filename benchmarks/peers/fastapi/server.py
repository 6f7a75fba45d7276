"""Plain FastAPI: the body is read on the event loop, the work runs in Starlette's pool of threads."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from benchmarks.work import ordered


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ["BENCHMARK_LANES"])
    app.state.work = ordered()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/answer")
async def answer(request: Request) -> Response:
    return Response(await run_in_threadpool(app.state.work, await request.body()), media_type="image/jpeg")


if __name__ == "__main__":
    uvicorn.run(
        "server:app",
        port=int(os.environ["BENCHMARK_PORT"]),
        workers=int(os.environ["BENCHMARK_PROCESSES"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
