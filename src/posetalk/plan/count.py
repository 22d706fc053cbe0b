"""Run a network without its numbers, and count what it does: operations, and bytes that are alive.

A network that was built on torch's meta device becomes one of fake tensors, which have shapes and dtypes alone. The
product's own code runs on it. Token ids and masks are real, since the code looks into them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils import flop_counter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
_formulas: Any = flop_counter
_INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
_ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu
_ATTENTION_BACKWARD = aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True, slots=True)
class Count:
    """What a piece of work needs beside weights and gradients.

    Attributes:
        flops: Floating-point operations of matrix products, convolutions and attention; a multiplication and an
            addition are two.
        saved: Bytes that the forward pass keeps for the backward pass.
        peaks: Largest number of bytes alive in each phase of the work: up to the language model, inside it, and so on.
        cache: Bytes of the keys and values that were kept, at most.
    """

    flops: int
    saved: int
    peaks: tuple[int, ...]
    cache: int

    @property
    def peak(self) -> int:
        """Largest number of bytes alive."""
        return max(self.peaks)

    def plus(self, other: Count, times: int) -> Count:
        """This count and `times` another one."""
        peaks = tuple(a + times * b for a, b in zip(self.peaks, other.peaks, strict=True))
        return Count(
            self.flops + times * other.flops,
            self.saved + times * other.saved,
            peaks,
            self.cache + times * other.cache,
        )


def fake(network: nn.Module) -> Callable[..., Tensor]:
    """Give a network of the meta device fake numbers; returns what makes fake tensors to ask it with (shape, dtype).

    They count as tensors of a CPU: its kernels of attention and mixed precision keep what a GPU's do.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    made: dict[int, nn.Parameter] = {}  # tied weights stay tied

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        with mode:
            return torch.empty(shape, dtype=dtype)

    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in made:
                    numbers = empty(*parameter.shape, dtype=parameter.dtype)
                    made[id(parameter)] = nn.Parameter(numbers, requires_grad=parameter.requires_grad)
                module._parameters[name] = made[id(parameter)]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = empty(*buffer.shape, dtype=buffer.dtype)
    return empty


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs inside `counting`.

    Attributes:
        mode: Makes tensors that the code makes fake too. None where the code looks into them: into ids and masks.
    """

    mode: FakeTensorMode | None = None

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.cache = self._live = self._made = 0
        self.peaks = [0]
        self._saved: dict[int, int] = {}
        self._known: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}  # of storages, since addresses are given again
        for tensor in (*network.parameters(), *network.buffers()):
            for held in (tensor, tensor.grad):
                if held is not None:
                    storage = held.untyped_storage()
                    self._known[id(storage)] = storage

    def next_phase(self, *_: Any) -> None:
        self.peaks.append(self._live)

    def save(self, tensor: Tensor) -> Tensor:
        """What autograd keeps; weights are there anyway."""
        storage = tensor.untyped_storage()
        if not isinstance(self._known.get(id(storage)), torch.UntypedStorage):
            self._saved[self._numbers.get(id(storage), -id(storage))] = storage.nbytes()
        return tensor

    def count(self) -> Count:
        return Count(self.flops, sum(self._saved.values()), tuple(self.peaks), self.cache)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _INDEXING and isinstance(args[0], FakeTensor):
            args = (args[0], [place for index in args[1] for place in _places(index)], *args[2:])
        with self.mode or nullcontext():
            out = func(*args, **(kwargs or {}))
        self._add_flops(func.overloadpacket, args, kwargs or {}, out)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._watch(tensor)
        return out

    def _add_flops(self, packet: Any, args: Any, kwargs: Any, out: Any) -> None:
        if packet is _ATTENTION:
            self.flops += _formulas.sdpa_flop_count(*(tensor.shape for tensor in args[:3]))
        elif packet is _ATTENTION_BACKWARD:
            self.flops += _formulas.sdpa_backward_flop_count(*(tensor.shape for tensor in args[:4]))
        elif packet in _formulas.flop_registry:
            self.flops += _formulas.flop_registry[packet](*args, **kwargs, out_val=out)

    def _watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return

        def gone(_: Any) -> None:
            del self._known[key], self._numbers[key]
            self._live -= size

        self._known[key] = weakref.ref(storage, gone)
        self._made += 1
        self._numbers[key] = self._made
        self._live += size
        self.peaks[-1] = max(self.peaks[-1], self._live)


@contextmanager
def counting(network: nn.Module, language_model: nn.Module) -> Iterator[Counter]:
    """Count what runs inside. language_model: where phases end and keys and values are kept."""
    counter = Counter(network)

    def after(_: nn.Module, __: Any, kwargs: dict[str, Any], ___: Any) -> None:
        kept = kwargs.get("past_key_values")
        tensors = [t for layer in kept.layers for t in (layer.keys, layer.values)] if kept is not None else []
        counter.cache = max(counter.cache, sum(t.numel() * t.element_size() for t in tensors))
        counter.next_phase()

    hooks = [
        language_model.register_forward_pre_hook(counter.next_phase),
        language_model.register_forward_hook(after, with_kwargs=True),
    ]
    try:
        with _Attention(), counter, torch.autograd.graph.saved_tensors_hooks(counter.save, lambda kept: kept):
            yield counter
    finally:
        for hook in hooks:
            hook.remove()


class _Attention(TorchFunctionMode):
    """Attention by the kernel that keeps no matrix of weights, as real tensors get it; fake ones would not."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            return _attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if enable_gqa:
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if attn_mask is not None and attn_mask.dtype != torch.bool:
        attn_mask = attn_mask.to(query.dtype)
    out: Tensor = _ATTENTION(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]
    return out


def _places(index: Tensor | None) -> list[Tensor | None]:
    """An index of so many places as a mask takes, since a fake tensor cannot count them; which ones is all the same."""
    if index is None or index.dtype != torch.bool or isinstance(index, FakeTensor):
        return [index]
    return [torch.zeros((), dtype=torch.long).expand(int(index.sum()))] * index.ndim
