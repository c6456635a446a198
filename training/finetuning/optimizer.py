"""The optimizer of a training run and its schedule: AdamW, fused into one kernel on a GPU, with warm-up and decay."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn

Decay = Literal["cosine", "linear"]
_BETAS = (0.9, 0.98)


def adamw(parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the parameters that learn; biases and norms do not decay.

    A state that it restores, from whatever machine, goes on with the kernels of this one.
    """
    learning = [p for p in parameters if p.requires_grad]
    decayed, free = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    fused = has_fused_kernel(learning[0].device)
    optimizer = torch.optim.AdamW(groups, learning_rate, betas=_BETAS, fused=fused)

    def with_our_kernel(_optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "param_groups": [{**group, "fused": fused} for group in state["param_groups"]]}

    optimizer.register_load_state_dict_pre_hook(with_our_kernel)
    return optimizer


def has_fused_kernel(device: torch.device) -> bool:
    """Whether AdamW runs as one kernel there; on CPUs it could, but rounds otherwise than it always has."""
    return device.type == "cuda"


def warmup_and_decay(
    optimizer: torch.optim.Optimizer, warmup: int, total_steps: int, decay: Decay
) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate, step by step: linear warm-up over ``warmup`` steps, but at most a tenth of all, times half a
    cosine or a straight line down to one hundredth.
    """
    rising = max(min(warmup, total_steps // 10), 1)

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / rising)
        gone = min(step / total_steps, 1.0)
        left = 1 - gone if decay == "linear" else 0.5 * (1 + math.cos(math.pi * gone))
        return warm * (0.01 + 0.99 * left)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
