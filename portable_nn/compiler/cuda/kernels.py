"""Kernels in CUDA C: one for each launch, whose blocks are divided among its parts.

All sizes are constants of the source. A kernel's arguments are pointers to memory, and a counter on the
device that holds the number of the step, by which it finds this step's part of the per-step inputs. What
is written overlaps with no other argument, which lets the compiler read ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

from portable_nn.compiler.cuda.launches import KernelLaunch
from portable_nn.compiler.cuda.memory_map import MemoryKey, MemoryMap
from portable_nn.compiler.cuda.parts import THREADS, Code, Part, elementwise_code
from portable_nn.compiler.cuda.reductions import RegionCode
from portable_nn.compiler.cuda.regions import segments_of


@dataclass(frozen=True)
class Kernel:
    """A kernel: its arguments in order (after the counter), and the number of its blocks."""

    name: str
    source: str
    arguments: tuple[MemoryKey, ...]
    blocks: int


def kernel_for(launch: KernelLaunch, memory_map: MemoryMap, name: str, step_statement: str) -> Kernel:
    """The kernel of a launch; `step_statement` reads or advances the number of the step."""
    arguments: dict[MemoryKey, str] = {}
    texts, first = [], 0
    for one in launch.parts:
        part = Part(one, memory_map, arguments)
        body, blocks = code_of(part)
        lines = "".join(f"    {line}\n" for line in (*part.pointers.values(), *body))
        start = f"const int block = blockIdx.x - {first};"
        texts.append(f"if (blockIdx.x < {first + blocks}) {{\n    {start}\n{lines}  }}")
        first += blocks
    texts = [text for text in (shared_memory(texts), step_statement) if text] + [" else ".join(texts)]
    parameters = ", ".join(
        ["long long* counter", *(f"void* __restrict__ {pointer}" for pointer in arguments.values())]
    )
    source = (
        f'extern "C" __global__ void {name}({parameters}) {{\n'
        + "".join(f"  {text}\n" for text in texts)
        + "}\n"
    )
    return Kernel(name, source, tuple(arguments), first)


def code_of(part: Part) -> Code:
    """The code of an instruction."""
    reductions = [node for node in part.one.nodes if node.kind == "reduce"]
    if reductions:
        return RegionCode(part, segments_of(reductions[0])).code()
    return elementwise_code(part)


def shared_memory(texts: list[str]) -> str:
    """The declaration of the memory that the threads of a block share, if any part needs it."""
    return f"__shared__ double shared[{THREADS}];" if any("shared" in text for text in texts) else ""


def reads_per_step_inputs(launch: KernelLaunch, memory_map: MemoryMap) -> bool:
    """Whether a launch reads any input whose first axis is the steps."""
    return any(memory_map.is_per_step(s) for part in launch.parts for s in part.sources)
