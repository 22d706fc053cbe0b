"""Start the server."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from posetalk.detect.detector import load_detector
from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.messages import log
from posetalk.serve.app import make_app
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
        shown = f"[{host}]" if ":" in host else host
        log.info("posetalk answers at http://%s:%d and its page is there; Ctrl-C ends it", shown, port)
        config = uvicorn.Config(
            make_app(localizer, settings),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


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
