"""Where a training computes and how precisely: the CPU in float32, or a GPU in bfloat16 where that is enough."""

import os
from contextlib import AbstractContextManager

import torch
from torch import nn

from contracts.errors import EnvironmentRefused

CPU, CUDA = "cpu", "cuda"
ON_CPU = torch.device(CPU)


def chosen_device(asked: str) -> str:
    """``auto``: the GPU where there is one. Raises: EnvironmentRefused, where a GPU is asked for and there is none."""
    there = torch.cuda.is_available()
    if asked == CUDA and not there:
        raise EnvironmentRefused(
            f"--device cuda, but PyTorch {torch.__version__} sees no GPU: look at `nvidia-smi`, or say --device cpu"
        )
    return CUDA if there and asked != CPU else CPU


def prepare(device: str, threads: int) -> torch.device:
    """Threads of the CPU; on a GPU the same seed gives the same weights, as far as PyTorch can promise that."""
    torch.set_num_threads(threads)
    if device == CUDA:
        os.putenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for that, before it is first used
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(device)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Products in bfloat16 on a GPU; weights, sums and losses stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == CUDA)


def device_of(model: nn.Module) -> torch.device:
    """Where its weights are."""
    return next(model.parameters()).device
