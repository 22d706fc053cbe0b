"""What a job needs on each GPU, part by part."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from torch import Tensor, nn

from posetalk.plan.count import Count
from posetalk.plan.network import quantised

GB = 2**30  # as on the cards: one of 24 GB has 24 * 2**30 bytes
CONTEXT = int(
    0.75 * GB
)  # CUDA's context, cuBLAS's workspace and the libraries' own: an allowance, not counted
FRAGMENTATION = 0.05  # share of the rest that the allocator cannot use: an allowance, not counted
# Bytes of a weight. 4 bits of bitsandbytes' nf4: half a byte, one for each block of 64 and 4 for each 256 blocks. In 8
# bits the scale of each row adds less than a thousandth.
_BITS = {"8bit": 1.0, "4bit": 0.5 + 1 / 64 + 4 / (64 * 256)}
_ADAM = 2  # numbers that AdamW keeps of each trained one


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes on each GPU while a job runs, at the moment when they are most.

    Attributes:
        weights: The network's weights.
        gradients: Of the trained weights, and what DDP sends them from.
        optimizer: AdamW's two numbers for each trained weight.
        activations: What the forward pass keeps for the backward pass, and what is in work.
        logits: Next-token logits of the tokens that are learned, in float32.
        kv_cache: Keys and values of the language model.
        allowance: CUDA's context and what the allocator cannot use: a stated allowance, not counted.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    kv_cache: int
    allowance: int

    @property
    def total(self) -> int:
        """The sum."""
        return sum(getattr(self, field.name) for field in fields(self))


def memory_of(
    network: nn.Module,
    count: Count,
    logits: int = 0,
    gpus: int = 1,
    shard: bool = False,
    quantization: Literal["8bit", "4bit"] | None = None,
) -> MemoryPlan:
    """Add up weights of a network of the meta device, and what its work needs.

    Args:
        network: With the gradients' flags set.
        count: Of the work.
        logits: Bytes of the logits among them.
        gpus: Several copy the network, and send gradients to each other (DDP).
        shard: The GPUs share weights, gradients and optimiser (FSDP); the largest layer is whole while it works, and
            the next one on its way.
        quantization: Bits of the language model's frozen weights.
    """
    in_bits = {id(weight) for weight in quantised(network)} if quantization else set()
    weights = trained = 0
    for parameter in network.parameters():
        if quantization and id(parameter) in in_bits:
            weights += round(parameter.numel() * _BITS[quantization])
        else:
            weights += size(parameter)
        trained += size(parameter) if parameter.requires_grad else 0
    weights += sum(size(buffer) for buffer in network.buffers())
    work = max(count.peak, trained)  # the optimiser's step needs as much once more as is trained
    gradients, optimizer = trained, _ADAM * trained
    if shard:
        layers = [
            sum(map(size, m.parameters())) for n, m in network.named_modules() if n.split(".")[-1].isdigit()
        ]
        weights = weights // gpus + 2 * max(layers, default=0)
        gradients, optimizer = gradients // gpus, optimizer // gpus
    elif gpus > 1:
        gradients *= 2
    counted = weights + gradients + optimizer + work
    allowance = CONTEXT + round(FRAGMENTATION * counted)
    return MemoryPlan(
        weights, gradients, optimizer, work - logits - count.cache, logits, count.cache, allowance
    )


def size(tensor: Tensor) -> int:
    """Bytes of a tensor."""
    return tensor.numel() * tensor.element_size()
