"""A step of torch as a CUDA graph, captured by hand as torch's notes on CUDA semantics show it."""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from configurations import Configuration

WARM_UP = 3  # calls on a side stream before the capture: workspaces, optimizer state, lazy loading


def captured(step: Callable[[], None], device: str) -> Callable[[], object]:
    """What replays `step`, which reads and writes the same memory each time and asks the host nothing.

    Where there are no CUDA graphs it is the step itself: all but the capture can be run anywhere.
    """
    if device == "cpu":
        return step
    import torch

    side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph, stream=side):  # autograd's nodes remember the stream of the first calls
        step()
    replay: Callable[[], object] = graph.replay
    return replay


def epochs(
    c: Configuration, step: Callable[[], object], data: Any, batch: Any, total: Any
) -> Callable[[], dict[str, Any]]:
    """Rounds of epochs whose `step` reads a `batch` in memory that is filled from `data` before each.

    It adds the costs to `total`, which the host reads once an epoch.
    """
    import torch

    device = total.device

    def run() -> dict[str, Any]:
        for _ in range(c.epochs):
            parts = torch.randperm(c.n, device=device).split(c.batch)
            total.zero_()
            for rows in parts:
                for source, into in zip(data, batch, strict=True):
                    torch.index_select(source, 0, rows, out=into)
                step()
            mean = total.item() / len(parts)
        finished(device.type)
        return {"cost": mean}

    return run


def finished(device: str) -> None:
    """Wait for everything that was launched."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
