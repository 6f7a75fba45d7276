"""The seam between training and service: what a model file promises, where it lies, how a face is cut for it."""

import os

# Official builds of ONNX Runtime write a device id to the disk and send Microsoft what they run. They ask for this when
# they are imported and never again, so it stands where everything that imports them begins.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
