"""Images by their URL: of hosts that were allowed, and of nobody else."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import SplitResult, urljoin, urlsplit

from posetalk.errors import PosetalkError
from posetalk.serve.problems import ProblemError
from posetalk.serve.settings import ServeSettings

LABEL_STUDIO_KEY = "LABEL_STUDIO_API_KEY"  # of the environment: what Label Studio calls an access token
MAX_REDIRECTS = 3
SECONDS = 10.0  # for one image


class Fetcher:
    """Fetches images of the hosts that the settings name.

    A host must lead to public addresses alone, but for Label Studio's, which may be in a private network. A redirect
    must stay on its host.

    Args:
        settings: The hosts and limits.
        environment: Where Label Studio's token is.
    """

    def __init__(self, settings: ServeSettings, environment: Mapping[str, str] = os.environ) -> None:
        self._hosts = {host.lower() for host in settings.image_hosts}
        self._max_size = settings.max_body_size
        self._label_studio = urlsplit(settings.label_studio_url or "")
        self._token = environment.get(LABEL_STUDIO_KEY, "")

    def of_label_studio(self, path: str) -> bytes:
        """An image of a task: a URL, or a path that Label Studio serves.

        Raises:
            PosetalkError: as `fetch`.
        """
        if path.startswith("/") and not self._label_studio.netloc:
            raise PosetalkError(
                "the image is on Label Studio, whose address is not known; start the server with --label-studio-url"
            )
        return self.fetch(urljoin(self._label_studio.geturl(), path))

    def fetch(self, url: str) -> bytes:
        """The file at a URL.

        Raises:
            PosetalkError: its host was not allowed, or leads to a private address; it cannot be had, is too large or
                too slow.
        """
        deadline = time.monotonic() + SECONDS
        first = self._checked(url)
        parts = first
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._get(parts, deadline)
            if isinstance(answer, bytes):
                return answer
            parts = self._checked(urljoin(parts.geturl(), answer))
            if parts.netloc != first.netloc:
                raise ProblemError(f"{first.hostname} sends on to another host, which is not followed")
        raise ProblemError(f"{first.hostname} sends on more than {MAX_REDIRECTS} times")

    def _checked(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise ProblemError("the URL of the image cannot be read") from None
        if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
            raise ProblemError("the URL of an image begins with http:// or https:// and a host")
        if not self._is_trusted(parts) and (host if port is None else f"{host}:{port}") not in self._hosts:
            allowed = "names no other hosts" if self._hosts else "was started without it"
            raise ProblemError(
                f"images of {host} are not fetched: --image-hosts names the hosts of images, and the server {allowed}",
                403,
            )
        return parts

    def _is_trusted(self, parts: SplitResult) -> bool:
        """Whether it is Label Studio, which the server's owner named."""
        theirs = self._label_studio
        return bool(theirs.netloc) and (parts.scheme, parts.netloc) == (theirs.scheme, theirs.netloc)

    def _address(self, parts: SplitResult) -> tuple[str, int]:
        """The address to connect to; looked up once, so that it is the one that was checked."""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except OSError:
            raise ProblemError(f"there is no host {parts.hostname}") from None
        addresses = [str(row[4][0]) for row in found]
        if not self._is_trusted(parts) and not all(map(_is_public, addresses)):
            raise ProblemError(
                f"{parts.hostname} leads to a private address, from which nothing is fetched", 403
            )
        return addresses[0], port

    def _get(self, parts: SplitResult, deadline: float) -> bytes | str:
        """The file, or where it is instead."""
        host = str(parts.hostname)
        connection = _Connection(parts.scheme, host, self._address(parts), deadline - time.monotonic())
        headers = {"Host": parts.netloc, "User-Agent": "posetalk", "Accept": "image/*"}
        if self._token and self._is_trusted(parts):
            headers["Authorization"] = f"Token {self._token}"
        try:
            connection.request(
                "GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/", headers=headers
            )
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                return response.headers.get("Location", "")
            if response.status != 200:
                raise ProblemError(f"{host} answers {response.status} instead of the image")
            data = bytearray()
            while part := response.read(65_536):
                data += part
                if len(data) > self._max_size:
                    raise ProblemError(f"the image at {host} is larger than {self._max_size:,} bytes", 413)
                if time.monotonic() > deadline:
                    raise TimeoutError
            return bytes(data)
        except TimeoutError:
            raise ProblemError(f"{host} did not give the image within {SECONDS:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProblemError(f"the image at {host} cannot be fetched: {error}") from None
        finally:
            connection.close()


def _is_public(address: str) -> bool:
    """Whether it is an address of the internet, written in whichever way."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global


class _Connection(http.client.HTTPConnection):
    """To an address that was looked up before."""

    def __init__(self, scheme: str, host: str, address: tuple[str, int], timeout: float) -> None:
        super().__init__(host, address[1], timeout=max(timeout, 0.1))
        self._scheme, self._address = scheme, address

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, self.timeout)
        if self._scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
