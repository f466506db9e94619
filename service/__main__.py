"""`python -m service`: serves the models until it is told to stop."""

import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from service import settings
from service.app import create_app
from service.errors import SetupError
from service.routes import Service
from service.settings import Settings

SHUTDOWN_S = 10  # that requests still running get to finish, once nothing new is taken

log = logging.getLogger("service")


class Server(uvicorn.Server):
    """Uvicorn, but SIGTERM first turns `/readyz` to 503 and leaves load balancers the drain time to look elsewhere.

    A second SIGTERM, or Ctrl-C, stops at once: what is being answered is finished, then the exit status is 0.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn calls it as a handler
        """Called on SIGINT and SIGTERM."""
        if self.should_exit:
            self.force_exit = True
        elif sig == signal.SIGTERM and not self.service.draining:
            self.service.draining = True
            log.info("Draining for %g s.", self.service.settings.drain_seconds)
            drained = threading.Timer(self.service.settings.drain_seconds, setattr, (self, "should_exit", True))
            drained.daemon = True
            drained.start()
        else:
            self.should_exit = True


def main() -> None:
    """Serves as the environment says. Raises SetupError when it does not allow to."""
    chosen = settings.read()
    listener = _listener(chosen)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    app = create_app(chosen)
    service: Service = app.state.service
    with _address_named(chosen):  # another service may have taken it while the models were loading
        listener.listen()
    _greet(service, listener)
    config = uvicorn.Config(app, log_config=None, server_header=False, timeout_graceful_shutdown=SHUTDOWN_S)
    Server(config, service).run(sockets=[listener])


def _listener(chosen: Settings) -> socket.socket:
    """A socket bound to the address of the settings, before any model is loaded: a port in use is found at once."""
    listener = socket.socket(socket.AF_INET6 if ":" in chosen.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with _address_named(chosen):
        listener.bind((chosen.host, chosen.port))
    return listener


@contextmanager
def _address_named(chosen: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"{chosen.host}:{chosen.port} cannot be listened on: {error.strerror}; "
            "DENOISE_HOST and DENOISE_PORT name another address."
        ) from None


def _greet(service: Service, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    for model in service.denoisers.values():
        log.info("%s (%s) runs on %s, self-check within %.1g", model.name, model.task, model.provider, model.difference)
    task = next(task for task, name in service.defaults.items() if name)
    print(
        f"Serving on {url} (documentation: {url}/docs). Try:\n"
        f"  curl --data-binary @tests/digits/noisy_7.png -H 'Content-Type: image/png' '{url}/{task}' -o clean.png",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"The service cannot start. {error}")
