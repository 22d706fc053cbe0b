"""The options of every command that can run on many machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from posetalk.errors import PosetalkError, need

if TYPE_CHECKING:
    from posetalk.scale.cluster import Cluster


@Parameter(name="*")
@dataclass(frozen=True)
class Machines:
    """Where a run is computed.

    Attributes:
        ray: Compute on a Ray cluster: `local` for the cores of this machine, `auto` for the cluster that this machine
            belongs to, or its address, host:port. Every machine has posetalk and sees the files by the same paths.
            Needs the extra `scale`. By default there is no cluster.
        workers: For --ray: the largest number of workers. The default is one for each core, or for each GPU where
            there are some.
        shard_size: For --ray: the number of images of a shard, which is done by one worker. The default is 1000.
        no_join: For --ray: leave the results in their shards.
        parquet: For --ray, in `locate`, `label`, `facts` and `write`: write the people, facts or samples of each shard
            into a parquet file, too.
    """

    ray: str | None = None
    workers: int | None = None
    shard_size: int | None = None
    no_join: Annotated[bool, Parameter(negative=())] = False
    parquet: Annotated[bool, Parameter(negative=())] = False

    def asked(self, *, parquet: bool = False) -> bool:
        """Whether a cluster is asked for; the other options go with it. parquet: whether --parquet is one of them."""
        if self.ray is None and self != ONE:
            raise PosetalkError(
                "--workers, --shard-size, --no-join and --parquet go with --ray; give both or none"
            )
        if self.parquet and not parquet:
            raise PosetalkError("only locate, label, facts and write have --parquet; leave it away")
        if self.parquet:
            need("pyarrow", "scale")  # before anything is computed
        return self.ray is not None

    @property
    def size(self) -> int:
        """The number of images of a shard."""
        from posetalk.scale.shards import SIZE

        return SIZE if self.shard_size is None else self.shard_size

    @contextmanager
    def cluster(self, threads: int | None = None, device: str | None = "cpu") -> Iterator[Cluster]:
        """Connect to the cluster, see `connected`."""
        from posetalk.scale.cluster import connected

        assert self.ray is not None
        with connected(self.ray, workers=self.workers, threads=threads, device=device) as cluster:
            yield cluster


ONE = Machines()  # nothing given
