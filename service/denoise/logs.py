"""The log: one line per event, for people or as JSON, uvicorn's lines in the same form. Knows structlog."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor

Form = Literal["console", "json"]
# Libraries that warn of each damaged body and file: that is told to the caller, and would let anyone fill the log.
PARSERS = ("PIL", "python_multipart")


def start(form: Form) -> None:
    """Has every logger of the process write to standard error in this form."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.PROCESS]),
    ]
    last: list[Processor] = [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]
    if form == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _drop_colours, *last],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for parser in PARSERS:
        logging.getLogger(parser).setLevel(logging.CRITICAL)


def _drop_colours(_logger: object, _method: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn adds its message a second time, in colours.
    return event
