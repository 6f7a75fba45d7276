"""The application: what it owns, in which order it starts, and how it stops."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from export.contract import ContractError
from export.repository import Entry, Repository
from service import __version__, access, api, problems
from service.admission import Admission, Memory
from service.api.exchange import Parts
from service.bulk import Bulk
from service.engine import Engine, Served, row_lane
from service.faces import FaceFinder
from service.fetch import Fetcher
from service.jobs import Jobs
from service.logs import log
from service.machine import cores
from service.models import load
from service.pipeline import EXEMPLAR, Pipeline
from service.registry import Registry
from service.schemas import GenerateOptions, TranslateOptions
from service.settings import Settings
from service.telemetry import RequestTelemetry, Telemetry
from service.tracing import Tracing

DESCRIPTION = "One photo in, one caricature out that is still the same person, and a score that says so."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application; its lifespan loads the models and refuses to start if one of them is not sound."""
    app = FastAPIOffline(
        title="Likeness",
        version=__version__,
        summary=DESCRIPTION,
        lifespan=_lifespan,
        redoc_url=None,
        # It would put query strings and rejected input into spans and logs; ours are in service/telemetry.py.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings = settings or Settings()
    app.state.telemetry = telemetry = Telemetry(Tracing.from_environment(os.environ))
    app.state.admission = Admission(settings.max_requests, telemetry)
    app.state.parts = None
    app.state.fetcher = None
    app.include_router(api.router)
    problems.install(app)
    app.add_middleware(RequestTelemetry, telemetry=telemetry)
    access.install(app, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load, warm up, be ready; on the way out be not ready, finish what was admitted, let the threads go."""
    settings: Settings = app.state.settings
    telemetry: Telemetry = app.state.telemetry
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, telemetry.close)
        started = time.perf_counter()
        repository = Repository(settings.models)
        registry = _registry(repository, settings, telemetry)
        stack.push_async_callback(asyncio.to_thread, registry.close)
        await asyncio.to_thread(registry.start, settings.preload)
        executors = settings.threads or cores()
        finder = await asyncio.to_thread(_finder, repository, settings, executors)
        engine = Engine(executors=executors, capacity=settings.queue_capacity, observer=telemetry)
        stack.push_async_callback(asyncio.to_thread, engine.close)
        if settings.fetch_urls:
            app.state.fetcher = fetcher = Fetcher(settings)
            stack.callback(fetcher.close)
        memory = Memory(settings.max_memory, telemetry)
        pipeline = Pipeline(settings, registry, finder, memory, telemetry)
        jobs = _jobs(settings, telemetry)
        if jobs is not None:
            stack.push_async_callback(jobs.close)
        app.state.parts = Parts(engine, registry, pipeline, _bulk(engine, executors, settings, telemetry), jobs)
        gc.collect()
        gc.freeze()  # what the service is made of lives as long as it: no collection need look at it again
        telemetry.ready.set(1)
        log.info("ready", models=sorted(each.label for each in registry.served.values()), seconds=_since(started))
        yield
        app.state.parts = None
        telemetry.ready.set(0)
    log.info("stopped")


def _registry(repository: Repository, settings: Settings, telemetry: Telemetry) -> Registry:
    return Registry(
        repository,
        partial(_load, settings=settings, telemetry=telemetry),
        telemetry,
        kept={settings.default_model, settings.encoder},
        idle_ttl=settings.model_idle_ttl,
        max_memory=settings.max_model_memory,
    )


def _finder(repository: Repository, settings: Settings, searches: int) -> FaceFinder:
    landmarks = repository.resolve(settings.landmarks).path("model.dat")
    return FaceFinder(
        landmarks, searches=searches, min_eye_distance=settings.min_eye_distance, max_faces=settings.max_faces
    )


def _load(entry: Entry, settings: Settings, telemetry: Telemetry) -> Served:
    """The model, warm, behind a lane of its own if it runs elsewhere.

    Raises ContractError, also if requests cannot name the model's controls, and what the runtime raises.
    """
    model = load(entry, settings)
    options = {*TranslateOptions.model_fields, *GenerateOptions.model_fields, EXEMPLAR}
    if hidden := options & {control.name for control in model.contract.controls}:
        raise ContractError(f"{model.name}/{model.version}: {', '.join(sorted(hidden))} cannot name controls")
    if model.device == "cpu":
        return Served(model)
    return Served(model, row_lane(model, capacity=settings.queue_capacity, observer=telemetry))


def _bulk(engine: Engine, executors: int, settings: Settings, telemetry: Telemetry) -> Bulk:
    """Batches and jobs keep the cores busy, and leave most of the places and half of the queue to single requests."""
    return Bulk(
        engine,
        places=min(2 * executors, max(1, settings.queue_capacity // 2)),
        admission=Admission(max(1, settings.max_requests // 4), telemetry),
        memory=Memory(settings.max_batch_memory, telemetry),
    )


def _jobs(settings: Settings, telemetry: Telemetry) -> Jobs[Any, Any] | None:
    if not settings.jobs:
        return None
    memory = Memory(settings.max_job_memory, telemetry)
    return Jobs(limit=settings.max_jobs, share=settings.max_client_jobs, memory=memory, ttl=settings.job_ttl)


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)
