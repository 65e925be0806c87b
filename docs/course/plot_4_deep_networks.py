"""4. Deep networks
================

Nothing new has to be written for more layers: the same two loops run longer. New are the choices. How
many layers, how many units, which learning rate?
"""

# %%
# Two classes wind around each other as the arms of a spiral.

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn
from portable_nn import equations


def spiral(n, seed):
    """`n` points (n, 2) on two arms, and their classes (n, 1)."""
    random = np.random.default_rng(seed)
    Y = (np.arange(n) % 2)[:, None].astype("float64")
    r = np.sqrt(random.uniform(0.02, 1, (n, 1)))
    t = np.pi * (3 * r + Y)
    X = 2 * r * np.hstack([np.cos(t), np.sin(t)])
    return X + random.normal(0, 0.12, (n, 2)), Y


X, Y = spiral(400, seed=1)
validation = spiral(400, seed=2)

# %%
# Matrix dimensions
# -----------------
#
# Layer :math:`l` has :math:`n_l` units. Work through the dimensions on paper before you look for an
# error anywhere else: that is the course's advice, and it finds most of them.
#
# =======================================================  ======================================
# array                                                    dimensions
# =======================================================  ======================================
# :math:`W^{[l]}`, and its gradient                        :math:`(n_l, n_{l-1})`
# :math:`b^{[l]}`, and its gradient                        :math:`(n_l, 1)`
# :math:`Z^{[l]}`, :math:`A^{[l]}`, :math:`\Delta^{[l]}`   :math:`(n_l, B)`
# :math:`A^{[0]} = X`, and :math:`Y`                       :math:`(n_0, B)`, and :math:`(n_L, B)`
# =======================================================  ======================================

net = pnn.Network((2, 16, 16, 16, 1), ("relu",) * 3 + ("sigmoid",), "binary_cross_entropy")
print(net.summary("float64"))

# %%
# Give ``Network`` arrays that do not fit, and it says so before it computes. Here they are columns,
# where it takes rows:

params = net.initialize(seed=0, dtype="float64")
try:
    net.predict(params, X.T)
except ValueError as error:
    print(error)

# %%
# Forward and backward, for any L
# -------------------------------
#
# Up from layer 1 to layer :math:`L`, keeping each :math:`Z^{[l]}` and :math:`A^{[l]}`:
#
# .. beside:: portable_nn.equations.forward
#    :line: for l in range(1, L + 1):
#    :count: 3
#
#    Z^{[l]} &= W^{[l]} A^{[l-1]} + b^{[l]} \\
#    A^{[l]} &= g^{[l]}(Z^{[l]})
#
# and down again, with what was kept. This is the whole loop; the ``masks`` are those of dropout.
#
# .. beside:: portable_nn.equations.backward_to
#    :line: for l in range(L, 0, -1):
#    :count: 9
#
#    \Delta^{[l]} &= \frac{\partial \mathcal{L}}{\partial A^{[l]}} * g^{[l]\prime}(Z^{[l]}) \\
#    \frac{\partial J}{\partial W^{[l]}} &= \frac{1}{B} \Delta^{[l]} A^{[l-1]\mathsf{T}} \\
#    \frac{\partial J}{\partial b^{[l]}} &= \frac{1}{B} \sum_{i=1}^{B} \Delta^{[l](i)} \\
#    \frac{\partial \mathcal{L}}{\partial A^{[l-1]}} &= W^{[l]\mathsf{T}} \Delta^{[l]}
#
# Go through it once by hand, with columns: ``X.T``.

Z, A = equations.forward(np, params, X.T, net.g)
Delta = equations.output_delta(np, net.loss, net.g[-1], Z[-1], A[-1], Y.T)
grads = equations.backward(np, params, Z, A, Delta, net.g)
for l, ((W, b), (dW, db)) in enumerate(zip(params, grads, strict=True), start=1):
    assert W.shape == dW.shape == (net.sizes[l], net.sizes[l - 1])
    assert b.shape == db.shape == (net.sizes[l], 1)
    assert Z[l].shape == A[l].shape == (net.sizes[l], 400)

# %%
# Deeper
# ------
#
# Four networks, trained alike: logistic regression, then one, two and three hidden layers of 16 units.


def train(net, params, optimizer):
    """400 epochs of mini-batches of 50 points."""
    how = {"epochs": 400, "batch_size": 50, "l2": 0.01, "metrics": "accuracy"}
    return pnn.fit(net, params, X, Y, optimizer, validation=validation, **how)


side = np.linspace(-2.6, 2.6, 161)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
figure, panels = plt.subplots(2, 2, figsize=(8, 8), sharex=True, sharey=True)
for hidden, axes in enumerate(panels.flat):
    sizes, g = (2, *[16] * hidden, 1), (*["relu"] * hidden, "sigmoid")
    deep = pnn.Network(sizes, g, "binary_cross_entropy")
    learned, history = train(deep, deep.initialize(seed=0, dtype="float64"), pnn.Adam(0.01))
    A = deep.predict(learned, grid).reshape(161, 161)
    axes.contourf(side, side, A, np.linspace(0, 1, 11), cmap="RdBu", vmin=-0.8, vmax=1.8)
    axes.contour(side, side, A, [0.5], colors="black", linewidths=1.2)
    for label, color, marker in ((0, "#d55e00", "o"), (1, "#0072b2", "^")):
        axes.scatter(*X[Y[:, 0] == label].T, s=6, marker=marker, color=color)
    right = history.metrics["accuracy"][-1]
    axes.set(title=f"{'-'.join(map(str, sizes))}: {right:.1%} of new points", aspect="equal")
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    axes.label_outer()
figure.suptitle("Each hidden layer bends the boundary again")
plt.show()

# %%
# Parameters and hyperparameters
# ------------------------------
#
# :math:`W` and :math:`b` are **parameters**: training finds them. The learning rate, the number of
# layers and units, the activation, the number of epochs, the size of a batch are **hyperparameters**:
# you choose them, and they decide what training finds. Choose by data that training has not seen.
#
# To try twelve learning rates, train twelve networks at once: a *stack*. Its arrays have one more axis
# in front, and each network has a learning rate of its own. The equations stay as they are, because
# only the last two axes have a meaning in them.

rates = np.logspace(-4, 0, 12)
stack = net.initialize(seed=[0] * 12, stack=12, dtype="float64")
print("W[1] of the stack:", stack[0][0].shape)
stack, history = train(net, stack, pnn.Adam(learning_rate=rates))

costs = np.stack(history.validation_cost)  # (epochs, networks)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for k in (1, 6, 11):
    left.semilogy(costs[:, k], linewidth=1.2, label=f"learning rate {rates[k]:.1g}")
left.set(xlabel="epoch", ylabel="J on new points", ylim=(0.01, 9))
left.set_title("Too small, right, too large")
left.legend(loc="upper right")
right.loglog(rates, costs[-1], "o-", label="after the last epoch")
right.loglog(rates, costs.min(axis=0), "s--", label="lowest of all epochs")
right.set(xlabel="learning rate", ylabel="J on new points", ylim=(0.01, 4))
right.set_title("Twelve learning rates in one pass")
right.legend(loc="upper center")
plt.show()

# %%
# Exercises
# ---------
#
# .. exercise::
#
#    How many parameters has ``net``? Count by the table of dimensions, without the summary.
#
# The sum of :math:`n_l n_{l-1} + n_l` over the layers.

count = sum(n * n_below + n for n_below, n in zip(net.sizes[:-1], net.sizes[1:], strict=True))
print(count)
assert count == sum(array.size for layer in params for array in layer) == 609

# %%
# .. exercise::
#
#    A network with one wide hidden layer has about as many parameters: 2-152-1. Does it follow the arms
#    as well?
#
# Not quite, in as many epochs, from this seed and most others. It draws the boundary from the
# sum of 152 bends, while each further layer bends what is bent already.

wide = pnn.Network((2, 152, 1), ("relu", "sigmoid"), "binary_cross_entropy")
first = wide.initialize(seed=0, dtype="float64")
assert sum(array.size for layer in first for array in layer) == 609
learned, of_wide = train(wide, first, pnn.Adam(0.01))
learned, of_deep = train(net, params, pnn.Adam(0.01))
print(f"wide {of_wide.metrics['accuracy'][-1]:.3f}, deep {of_deep.metrics['accuracy'][-1]:.3f}")
assert of_deep.metrics["accuracy"][-1] > of_wide.metrics["accuracy"][-1]

# %%
# .. exercise::
#
#    What is kept from the forward pass for the backward pass, and how many numbers is that for a batch
#    of :math:`B` examples?
#
# :math:`Z^{[l]}` and :math:`A^{[l]}` of all layers, and :math:`A^{[0]}`:
# :math:`B (n_0 + 2 \sum_l n_l)`. So training needs memory in proportion to the batch, and predicting
# does not.

Z, A = equations.forward(np, params, X.T, net.g)
kept = sum(each.size for each in (*Z[1:], *A))
assert kept == 400 * (2 + 2 * (16 + 16 + 16 + 1))
