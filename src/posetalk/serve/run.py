"""Start the server."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn

from posetalk.detect.detector import load_detector
from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.messages import log
from posetalk.serve.app import make_app
from posetalk.serve.guard import API_KEYS
from posetalk.serve.protocol import Protocol
from posetalk.serve.settings import ServeSettings


def serve(settings: ServeSettings) -> None:
    """Load the model and answer requests until the process is told to end (SIGINT, SIGTERM).

    Raises:
        PosetalkError: as `Localizer.from_pretrained` and `Detector.from_pretrained`; the address cannot be listened on.
    """
    listening = _socket(settings)
    with listening:
        localizer = Localizer.from_pretrained(
            settings.model,
            threads=settings.threads,
            detector=load_detector(settings.detector, settings.threads),
        )
        host, port = listening.getsockname()[:2]
        guard = make_app(localizer, settings)
        for line in _greeting(settings, f"[{host}]" if ":" in host else host, port, guard.asks_for_keys):
            log.info(line)
        logging.getLogger("uvicorn.error").setLevel(
            logging.ERROR
        )  # warns of each request that cannot be read
        config = uvicorn.Config(
            guard,
            http=Protocol,
            ws="none",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


def _greeting(settings: ServeSettings, host: str, port: int, keys: bool) -> list[str]:
    """What is said at the start: the address, and who can use it."""
    lines = [f"posetalk answers at http://{host}:{port}, where its page is too; Ctrl-C ends it"]
    if settings.is_loopback:
        lines.append("only programs of this machine reach it; --host 0.0.0.0 opens it to the network")
    elif not keys:
        lines.append(
            f"note: whoever reaches this machine may use it; set {API_KEYS} to ask for keys, and put TLS in front"
        )
    return lines


def _socket(settings: ServeSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise PosetalkError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}; choose another with --port"
        ) from None
    return listening
