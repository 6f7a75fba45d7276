"""The service's log: JSON lines on stderr. docs/telemetry.md lists every event; nothing private is in any."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.contextvars import merge_contextvars

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("likeness")


def configure_logging(level: str) -> None:
    """JSON lines on stderr, for the service's own events and for the libraries' log records alike."""
    shared: list[structlog.typing.Processor] = [
        merge_contextvars,
        _add_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Not dict_tracebacks: that one prints local variables, and those hold photos.
        structlog.processors.format_exc_info,
    ]
    as_json = structlog.processors.JSONRenderer()
    # Not by way of the standard library's logging, which doubles what a line costs.
    structlog.configure(
        processors=[*shared, as_json],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_stderr,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    # At debug, libraries tell what they read: the EXIF of a photo, the host of a URL.
    quiet = max(logging.INFO, logging.getLevelNamesMapping()[level.upper()])
    logging.basicConfig(handlers=[handler], level=quiet, force=True)


def _stderr(name: str) -> structlog.WriteLogger:
    return structlog.WriteLogger(sys.stderr)


def _add_name(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The service's own lines have no logger of the standard library that would say it."""
    event.setdefault("logger", "likeness")
    return event
