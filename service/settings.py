"""Every knob of the service, each an environment variable LIKENESS_<NAME>."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Limits and places; the defaults serve the bundled models on a small machine."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", frozen=True, extra="ignore")

    models: Path = Field(default=Path("models"), description="the model repository")
    default_model: str = Field(default="caricature", description="the translator of a request that names none")
    encoder: str = Field(default="sphereface", description="the encoder that scores identity and verifies")
    landmarks: str = Field(default="landmarks", description="the five-point shape predictor")

    max_body_bytes: int = Field(default=20_000_000, gt=0, description="larger bodies are refused while they stream in")
    max_pixels: int = Field(default=40_000_000, gt=0, description="larger pictures are refused from their header")
    max_faces: int = Field(default=32, gt=0, description="more faces in one picture are refused with faces=all")
    min_eye_distance: float = Field(
        default=16.0, gt=0, description="pixels; below it a face has too little to draw from"
    )

    max_requests: int = Field(default=64, gt=0, description="requests in flight; further ones are told to come back")
    queue_capacity: int = Field(default=128, gt=0, description="faces that may wait for one model")
    max_batch: int | None = Field(default=None, gt=0, description="faces of one run; unset: 1 on CPU, 8 on a GPU")
    threads: int | None = Field(
        default=None, gt=0, description="CPU threads of a model and of the photo stages; unset: all"
    )
    body_timeout: float = Field(default=30.0, gt=0, description="seconds that a body may take to arrive")
    deadline: float = Field(default=30.0, gt=0, description="seconds after which a waiting request is given up")

    log_level: str = Field(default="info", description="debug, info, warning or error")
