"""What a server is started with."""

from __future__ import annotations

from dataclasses import dataclass

from posetalk.errors import PosetalkError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeSettings:
    """How the server listens, and what it takes from callers.

    Attributes:
        host: The address to listen on. The default takes callers of this machine alone; 0.0.0.0 takes those of every
            network that it is in.
        port: The port to listen on; 0 for a free one.
        model: The model to ask: `bundled`, a model folder, or a hub id.
        detector: What finds the people: `bundled`, or a folder or hub id of a model for object detection.
        threads: How many threads compute on the CPU. The default is one for each core.
        batch_size: How many requests are computed together at most.
        queue_size: How many requests wait at most. Others are answered with 503.
        request_timeout: Seconds after which a request that was not answered is dropped, with 503.
        body_timeout: Seconds in which a request must have arrived.
        max_body_size: The largest body of a request, in bytes.
        max_image_pixels: The most pixels of an image.
        max_people: The most people of an image. More boxes are refused; of people who are found the surest are taken.
        max_keypoints: The most keypoints of a request.
        max_places: The most places that a request has described.
        cors_origins: Origins such as https://example.org whose pages may ask. Others' pages may not.
        allowed_hosts: Names by which the server may be called, such as pose.example.org. Without any, a server on
            loopback takes those of loopback alone, and others take every name.
        image_hosts: Hosts such as images.example.org from which images are fetched by their URL. None are without
            it.
        label_studio_url: The address of a Label Studio whose images are fetched; its token is in LABEL_STUDIO_API_KEY.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: str = "bundled"
    detector: str = "bundled"
    threads: int | None = None
    batch_size: int = 8
    queue_size: int = 64
    request_timeout: float = 30.0
    body_timeout: float = 30.0
    max_body_size: int = 20_000_000
    max_image_pixels: int = 50_000_000
    max_people: int = 50
    max_keypoints: int = 200
    max_places: int = 20
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    image_hosts: tuple[str, ...] = ()
    label_studio_url: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise PosetalkError(f"port is a number from 0 to 65535, not {self.port}")
        for name in (
            "batch_size",
            "queue_size",
            "request_timeout",
            "body_timeout",
            "max_body_size",
            "max_image_pixels",
            "max_people",
            "max_keypoints",
            "max_places",
        ):
            value = getattr(self, name)
            if not value > 0:
                raise PosetalkError(f"{name} is above 0, not {value}")

    @property
    def is_loopback(self) -> bool:
        """Whether only callers of this machine reach the server."""
        return self.host in LOOPBACK or self.host.startswith("127.")
