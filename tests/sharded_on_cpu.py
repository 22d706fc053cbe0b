"""FSDP2 in processes of the CPU.

accelerate shards networks on GPUs alone: on a CPU its state says MULTI_CPU, whatever is asked for. FSDP2 itself runs on
CPUs too, so that here the state says FSDP. The layers to share are named in FSDP_TRANSFORMER_CLS_TO_WRAP.
"""

import os
from typing import Any

from accelerate.state import AcceleratorState, DistributedType

SETTINGS = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}
prepare = AcceleratorState.__init__


def sharded(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
    prepare(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    plugin = fsdp_plugin or self.__dict__.get("fsdp_plugin")
    if plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, plugin


def share() -> None:
    """Have this process share networks by FSDP2."""
    os.environ |= SETTINGS
    AcceleratorState.__init__ = sharded
