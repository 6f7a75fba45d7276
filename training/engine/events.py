"""A run's events for TensorBoard, which are in their file when a call returns.

torch's own SummaryWriter leaves writing to a thread: when the disk is full, that thread dies with a traceback, and who
trains is told minutes later.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary


class Events:
    """One file of a folder; its methods raise OSError."""

    def __init__(self, folder: Path, purged: int) -> None:
        """`purged`: TensorBoard passes over what earlier files have at this step or later."""
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard knows such files by the beginning of the name, and reads them in the order of the rest.
        self._path = folder / f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self._write(
            Event(step=purged, file_version="brain.Event:2"),
            Event(step=purged, session_log=SessionLog(status=SessionLog.START)),
        )

    def scalar(self, name: str, value: float, step: int) -> None:
        """A figure."""
        self._add(summary.scalar(name, value), step)

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """uint8 [H, W, 3]."""
        self._add(summary.image(name, picture, dataformats="HWC"), step)

    def text(self, name: str, words: str, step: int) -> None:
        """Words."""
        self._add(summary.text(name, words), step)

    def _add(self, found: Summary, step: int) -> None:
        self._write(Event(step=step, summary=found))

    def _write(self, *events: Event) -> None:
        with self._path.open("ab") as file:
            for event in events:
                event.wall_time = time.time()
                RecordWriter(file).write(event.SerializeToString())
