"""The application: what it owns, in which order it starts, and how it stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from export.contract import ContractError
from export.repository import Repository
from service import __version__, api, problems
from service.batching import Admission, Lane
from service.faces import FaceFinder
from service.models import OnnxModel, cores, load_all
from service.pipeline import Pipeline, Served
from service.schemas import TranslateOptions
from service.settings import Settings
from service.telemetry import RequestTelemetry, Telemetry, log

DESCRIPTION = "One photo in, one caricature out that is still the same person, and a score that says so."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application; its lifespan loads the models and refuses to start if one of them is not sound."""
    app = FastAPIOffline(title="Likeness", version=__version__, summary=DESCRIPTION, lifespan=_lifespan, redoc_url=None)
    app.state.settings = settings or Settings()
    app.state.telemetry = Telemetry()
    app.state.admission = Admission(app.state.settings.max_requests)
    app.state.pipeline = None
    app.include_router(api.router)
    problems.install(app)
    app.add_middleware(RequestTelemetry, telemetry=app.state.telemetry)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load, warm up, be ready; on the way out be not ready, finish what was admitted, let the threads go."""
    settings: Settings = app.state.settings
    telemetry: Telemetry = app.state.telemetry
    async with AsyncExitStack() as stack:
        started = time.perf_counter()
        repository = Repository(settings.models)
        models = await asyncio.to_thread(_warm_models, repository, settings)
        threads = settings.threads or cores()
        finder = await asyncio.to_thread(_finder, repository, settings, threads)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="photo")
        stack.callback(pool.shutdown)
        served = {name: _serve(model, settings, telemetry) for name, model in models.items()}
        for each in served.values():
            stack.push_async_callback(each.lane.close)
        app.state.pipeline = Pipeline(settings, served, finder, pool, telemetry)
        telemetry.ready.set(1)
        log.info("ready", models=sorted(each.label for each in served.values()), seconds=_since(started))
        yield
        app.state.pipeline = None
        telemetry.ready.set(0)
        log.info("draining")
    log.info("stopped")


def _warm_models(repository: Repository, settings: Settings) -> dict[str, OnnxModel]:
    models = load_all(repository, threads=settings.threads, max_batch=settings.max_batch)
    for model in models.values():
        model.warm_up()
    return models


def _finder(repository: Repository, settings: Settings, searches: int) -> FaceFinder:
    landmarks = repository.resolve(settings.landmarks).path("model.dat")
    return FaceFinder(
        landmarks, searches=searches, min_eye_distance=settings.min_eye_distance, max_faces=settings.max_faces
    )


def _serve(model: OnnxModel, settings: Settings, telemetry: Telemetry) -> Served:
    """The model behind a lane of its own; ContractError if requests could not name its controls."""
    hidden = {control.name for control in model.contract.controls} & set(TranslateOptions.model_fields)
    if hidden:
        raise ContractError(f"{model.name}/{model.version}: {', '.join(sorted(hidden))} cannot name controls")
    telemetry.model_info.labels(model.name, str(model.version), model.contract.role, model.digest).set(1)
    lane = Lane(model.name, model.run, capacity=settings.queue_capacity, max_batch=model.max_batch, observer=telemetry)
    return Served(model, lane)


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)
