"""Every knob of the service, each an environment variable LIKENESS_<NAME>."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# As browsers write it: nothing after host and port, not even a slash.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^\s/*]+)$")]


class Settings(BaseSettings):
    """Limits and places; the defaults serve the bundled models on a small machine."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", frozen=True, extra="ignore")

    models: Path = Field(default=Path("models"), description="the model repository")
    default_model: str = Field(default="caricature", description="the translator of a request that names none")
    encoder: str = Field(default="sphereface", description="the encoder that scores identity and verifies")
    style_reader: str = Field(default="style", description="the model that reads an exemplar's style; may be missing")
    generator: str = Field(default="faces", description="the generator of a request that names none; may be missing")
    landmarks: str = Field(default="landmarks", description="the five-point shape predictor")
    preload: tuple[str, ...] | None = Field(
        default=None, description="models to load at start, as JSON list, beside the two above; unset: all"
    )
    model_idle_ttl: float | None = Field(
        default=None, gt=0, description="seconds without a request after which a model that is no default is unloaded"
    )
    max_model_memory: int | None = Field(default=None, gt=0, description="bytes of models in memory; unset: no limit")
    allow_model_control: bool = Field(default=False, description="keys of scope admin may load and unload models")

    max_body_bytes: int = Field(default=20_000_000, gt=0, description="larger bodies are refused while they stream in")
    max_pixels: int = Field(default=40_000_000, gt=0, description="larger pictures are refused from their header")
    max_faces: int = Field(default=32, gt=0, description="more faces in one picture are refused with faces=all")
    min_eye_distance: float = Field(
        default=16.0, gt=0, description="pixels; below it a face has too little to draw from"
    )

    max_requests: int = Field(default=64, gt=0, description="requests in flight; further ones are told to come back")
    max_memory: int = Field(default=512_000_000, gt=0, description="bytes of bodies and decoded pictures in work")
    queue_capacity: int = Field(default=128, gt=0, description="requests that may wait for a core, faces for a GPU")
    max_batch: int | None = Field(
        default=None, gt=0, description="faces of one run; unset: what proves worth it, to 32"
    )
    threads: int | None = Field(
        default=None, gt=0, description="CPU threads of a model and of the photo stages; unset: all"
    )
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        default="auto", description="what runs the models; auto: the best that is there, any other: that or nothing"
    )
    reduced_precision: bool = Field(
        default=False, description="compute in float16 (TensorRT) or TF32 (CUDA) where the outputs stay close"
    )
    device_memory: int | None = Field(default=None, gt=0, description="bytes of a GPU that one model may take")
    engines: Path | None = Field(
        default=None, description="folder to keep TensorRT's engines in; unset: built at each start, for minutes"
    )
    max_connections: int = Field(default=1000, gt=0, description="open connections; further ones get a 503")
    header_timeout: float = Field(default=10.0, gt=0, description="seconds that the head of a request may take")
    body_timeout: float = Field(default=30.0, gt=0, description="seconds that a body may take to arrive")
    keep_alive: int = Field(
        default=75, gt=0, description="seconds that a connection may idle: more than proxies keep theirs, mostly 60"
    )
    deadline: float = Field(
        default=10.0, gt=0, description="seconds that a request may take; X-Request-Timeout can only shorten it"
    )

    max_batch_items: int = Field(default=32, gt=0, description="pictures in one batch, job or /generate")
    max_batch_bytes: int = Field(default=64_000_000, gt=0, description="the body of a batch or job")
    max_batch_memory: int = Field(
        default=256_000_000, gt=0, description="bodies and drawings of the batches in work; at least max_batch_bytes"
    )
    batch_deadline: float = Field(
        default=120.0, gt=0, description="seconds that a batch may take; X-Request-Timeout can only shorten it"
    )
    jobs: bool = Field(default=True, description="take jobs; a job lives in one process, which has to be the only one")
    max_jobs: int = Field(default=64, gt=0, description="jobs that are kept; further ones are told to come back")
    max_client_jobs: int = Field(default=16, gt=0, description="those of them that may be one client's")
    max_job_memory: int = Field(
        default=256_000_000, gt=0, description="photos and drawings of the jobs that are kept; at least max_batch_bytes"
    )
    job_ttl: float = Field(
        default=600.0, gt=0, description="seconds that a job may take, and that its drawings are kept after it"
    )

    api_keys: Path | None = Field(default=None, description="file of API keys (TOML); unset: everyone is anonymous")
    protect_metrics: bool = Field(default=False, description="/metrics asks for a key with the scope metrics")
    cors_origins: tuple[Origin, ...] = Field(default=(), description="web sites whose scripts may call, as JSON list")

    fetch_urls: bool = Field(default=False, description="read pictures from https URLs that clients name")
    fetch_hosts: frozenset[str] = Field(
        default=frozenset(), description="the only hosts to fetch from, `*.` before a name for all below it; empty: any"
    )
    fetch_ports: frozenset[int] = Field(default=frozenset({443}), description="ports to fetch from")
    fetch_timeout: float = Field(default=10.0, gt=0, description="seconds for a fetch, redirects and all")

    grace: int = Field(default=25, ge=0, description="seconds from SIGTERM in which what was admitted is finished")
    drain_delay: float = Field(
        default=0.0, ge=0, description="seconds from SIGTERM, of grace, in which new connections still get a typed 503"
    )

    log_level: str = Field(default="info", description="debug, info, warning or error")
