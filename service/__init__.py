"""The HTTP service: one photo in, one caricature out, and how sure it is that the person is still the same."""

from importlib.metadata import PackageNotFoundError, version

import export as export  # before ONNX Runtime is: it turns its telemetry off

try:
    __version__ = version("likeness")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"
