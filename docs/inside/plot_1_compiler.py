"""
From a formula to a loop
========================

A training step is a pure function, written with the array functions of whatever library runs it. On
NumPy each of its operations alone would make an array, read from memory and written to memory. So the
step is run once on stand-ins that have a shape and a dtype, and no values; what it does with them is
recorded; and from the record a program is made in which neighbouring operations are one loop. No
formula is written a second time for it.

This page follows a tiny step through all stages. Everything printed here was printed by the compiler
when this page was built.
"""

# %%
# The step
# --------
#
# A layer of three units, in the equations' words: examples are columns.

import numpy as np

import portable_nn as pnn
from portable_nn import equations
from portable_nn.compiler.trace import trace

tanh = equations.ACTIVATIONS["tanh"]


def layer(W, b, A):
    Z = W @ A + b
    return [tanh.g(np, Z), tanh.g_prime(np, Z)]


# %%
# Traced
# ------
#
# ``trace`` runs the function on stand-ins. What comes out is a graph: each line below is an operation
# with the numbers of the operations that it reads, its shape and its dtype.

arrays = [np.empty(shape, "float32") for shape in ((3, 2), (3, 1), (2, 8))]
graph = trace(layer, arrays)
for node in graph.nodes:
    what = node.detail if isinstance(node.detail, (int, str)) else getattr(node.detail, "__name__", "")
    sources = [f"n{source.number}" if hasattr(source, "number") else source for source in node.sources]
    print(f"n{node.number:<3} {node.kind:12} {what!s:10} {sources!s:18} {node.shape} {node.dtype}")

# %%
# Planned
# -------
#
# ``make_plan`` joins elementwise operations of one shape that feed one another into instructions,
# puts the instructions in an order in which few arrays live at the same time, and gives each the
# memory that it writes to. Here one product and one loop are left.

from portable_nn.compiler.graph import is_elementwise
from portable_nn.compiler.plan import make_plan

plan = make_plan(graph, is_elementwise, {})
for instruction in plan.instructions:
    names = [getattr(node.detail, "__name__", node.kind) for node in instruction.nodes]
    print(" -> ".join(names))

# %%
# The program
# -----------
#
# A whole training step of a tiny network. The compiler writes Python that calls NumPy with memory
# that is already there (``out=``), block by block, so that what a block computes is still in the
# processor's cache when the next operation reads it. We listen to what it defines.

import re

from portable_nn.compiler.numpy import codegen

written = []
define = codegen.define


def listening(lines, names):
    found = {name: getattr(thing, "__name__", "") for name, thing in names.items() if callable(thing)}
    text = re.sub(r"\b(f\d+)\(", lambda call: f"{found[call[1]] or call[1]}(", "\n".join(lines))
    written.append(text)
    define(lines, names)


net = pnn.Network((2, 3, 1), activations=("tanh", "sigmoid"), loss="binary_cross_entropy")
random = np.random.default_rng(0)
X = random.normal(size=(64, 2)).astype("float32")
Y = X[:, :1] * X[:, 1:] > 0

codegen.define = listening
params, history = pnn.fit(
    net, net.initialize(seed=0), X, Y, optimizer=pnn.SGD(0.5), epochs=2, batch_size=16
)
codegen.define = define

step = max(written, key=len)
arguments, _, body = step.partition("):\n")
print(f"{arguments[:60]}...):\n{body}")

# %%
# The first lines gather the batch; then come, for each layer, a product and the operations of its
# activation; then cost, Delta, the gradients, and at the end the update of all parameters. In the
# program functions have short names such as ``f9``; their own stand here.

# %%
# The loop
# --------
#
# With numba installed, each group of elementwise operations also becomes one loop, compiled in the
# background once the program has run for some seconds. It does the same operations in the same order
# for every element, so it gives the same bits; which of the two runs can be told by the clock alone.
# What has no such loop, such as tanh, whose last bits differ from library to library, stays with
# NumPy. Here is the loop of Adam's update: one pass over the parameters, the gradient and both
# running means.

from portable_nn.compiler.numpy.loops import can_be_in_a_loop, loop_for

adam = pnn.Adam()
coefficients = [np.empty((), "float32") for _ in adam.coefficients(1, 0.001)]


def update(theta, g, m, v, *numbers):
    return adam.rule(np, theta, g, m, v, *numbers)


arrays = [np.empty((3, 2), "float32") for _ in range(4)]
plan = make_plan(trace(update, [*arrays, *coefficients]), can_be_in_a_loop, {})
loop, _ = loop_for(plan.instructions[0], plan)
print(loop)

# %%
# The same graph, in C
# --------------------
#
# ``to_c`` and ``to_javascript`` write from a graph as well: here the first lines of what the trained
# network computes, for one row.

import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    pnn.to_c((net, params), Path(folder) / "tiny.c")
    text = (Path(folder) / "tiny.c").read_text(encoding="ascii")
print(text[text.rindex("void tiny_predict(") :])

# %%
# On a GPU the instructions become kernels, and the step is captured as a CUDA graph; that needs a
# device, so it is not shown here. On JAX none of this is used: the same step is given to
# ``jax.lax.scan``, and XLA compiles it.
