"""2. A shallow network
====================

A straight line cannot part the petals of a flower. One hidden layer can. Here is what it computes, and
how its gradient comes back through it.
"""

# %%
# The flower of the course: petals of two classes, from a formula in polar coordinates,
# :math:`r = 4 \sin 4t` with some noise. ``X`` and ``Y`` have examples as rows.

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn
from portable_nn import equations


def flower(n, seed):
    """`n` points (n, 2), and their classes (n, 1)."""
    random = np.random.default_rng(seed)
    Y = (np.arange(n) % 2)[:, None].astype("float64")
    t = np.pi * (Y + random.uniform(0, 1, (n, 1))) + random.normal(0, 0.15, (n, 1))
    r = 4 * np.sin(4 * t) + random.normal(0, 0.2, (n, 1))
    return np.hstack([r * np.sin(t), r * np.cos(t)]), Y


X, Y = flower(400, seed=0)
X_new, Y_new = flower(1000, seed=1)  # to judge by


def train(*sizes, n=400, l2=0.0):
    """A network of these sizes, tanh and a sigmoid at the end, trained on the first `n` points."""
    net = pnn.Network(sizes, ["tanh"] * (len(sizes) - 2) + ["sigmoid"], "binary_cross_entropy")
    first = net.initialize(seed=0, dtype="float64")
    how = {"epochs": 2000, "batch_size": None, "l2": l2}
    params, _ = pnn.fit(net, first, X[:n], Y[:n], pnn.Adam(0.02), **how)
    return net, params


def accuracy(net, params):
    """The share of new points whose class is predicted."""
    return np.mean((net.predict(params, X_new) > 0.5) == Y_new)


def draw_boundary(axes, net, params):
    """The probability of class 1 as colour, its boundary as a line, and the points."""
    side = np.linspace(-5, 5, 151)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    A = net.predict(params, grid).reshape(151, 151)
    axes.contourf(side, side, A, np.linspace(0, 1, 11), cmap="RdBu", vmin=-0.8, vmax=1.8)
    axes.contour(side, side, A, [0.5], colors="black", linewidths=1.2)
    for label, color, marker in ((0, "#d55e00", "o"), (1, "#0072b2", "^")):
        axes.scatter(*X[Y[:, 0] == label].T, s=6, marker=marker, color=color)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", xticks=[-4, 0, 4], yticks=[-4, 0, 4], aspect="equal")


line, line_params = train(2, 1)
net, params = train(2, 6, 1)

figure, panels = plt.subplots(1, 2, figsize=(9, 4.2))
draw_boundary(panels[0], line, line_params)
panels[0].set_title(f"logistic regression: {accuracy(line, line_params):.0%} of new points right")
draw_boundary(panels[1], net, params)
panels[1].set_title(f"6 hidden units: {accuracy(net, params):.0%} of new points right")
plt.show()

# %%
# Forward
# -------
#
# The lines are those of the first chapter; now they run for :math:`l = 1` and for :math:`l = 2`.
#
# .. beside:: portable_nn.equations.forward
#    :line: for l in range(1, L + 1):
#    :count: 3
#
#    Z^{[l]} &= W^{[l]} A^{[l-1]} + b^{[l]} \\
#    A^{[l]} &= g^{[l]}(Z^{[l]})
#
# Row :math:`j` of :math:`W^{[1]}` holds the weights of hidden unit :math:`j`. Column :math:`i` of
# :math:`A^{[1]}` is what all units make of example :math:`i`. Mind the shapes: they are what goes wrong
# most often. In the equations examples are columns, hence ``X.T``.

Z, A = equations.forward(np, params, X.T, net.g)
for l, (W, b) in enumerate(params, start=1):
    print(f"W[{l}] {W.shape}  b[{l}] {b.shape}  Z[{l}] {Z[l].shape}  A[{l}] {A[l].shape}")

# %%
# Backward, in three steps
# ------------------------
#
# **Step 1: the error of the output.** Sigmoid and cross-entropy are a matched pair: their derivatives
# cancel to a difference.
#
# .. beside:: portable_nn.equations.output_delta
#    :line: return A - Y
#
#    \Delta^{[L]} = A^{[L]} - Y
#
# **Step 2: from layer to layer.** Each hidden unit answers for the errors that it has caused above,
# through the weights that carried them; :math:`*` multiplies entry by entry.
#
# .. beside:: portable_nn.equations.backward_to
#    :line: dA[l - 1] = W[l].mT @ Delta[l]
#
#    \frac{\partial \mathcal{L}}{\partial A^{[l-1]}} = W^{[l]\mathsf{T}} \Delta^{[l]}
#
# .. beside:: portable_nn.equations.delta
#    :line: return dA * g.g_prime(xp, Z)
#
#    \Delta^{[l]} = \frac{\partial \mathcal{L}}{\partial A^{[l]}} * g^{[l]\prime}(Z^{[l]})
#
# **Step 3: the gradients.** In each layer, the mean over the examples.
#
# .. beside:: portable_nn.equations.backward_to
#    :line: dW[l] = over_examples((1 / B) * Delta[l], A[l - 1])
#    :count: 2
#
#    \frac{\partial J}{\partial W^{[l]}} &= \frac{1}{B} \Delta^{[l]} A^{[l-1]\mathsf{T}} \\
#    \frac{\partial J}{\partial b^{[l]}} &= \frac{1}{B} \sum_{i=1}^{B} \Delta^{[l](i)}
#
# ``equations.backward`` is steps 2 and 3 for all layers, ``Network.cost_and_gradients`` all of it, for
# rows.

Delta = equations.output_delta(np, net.loss, net.g[-1], Z[-1], A[-1], Y.T)
grads = equations.backward(np, params, Z, A, Delta, net.g)
J, same = net.cost_and_gradients(params, X, Y)
for (dW, db), (dW_same, db_same) in zip(grads, same, strict=True):
    np.testing.assert_allclose(dW, dW_same, atol=1e-12)
    np.testing.assert_allclose(db, db_same, atol=1e-12)
print(f"J = {float(J):.3f};", ", ".join(f"dW[{l}] {dW.shape}" for l, (dW, _) in enumerate(grads, 1)))

# %%
# How many hidden units?
# ----------------------
#
# More units bend the boundary more often. With too few the flower is out of reach; with many the
# boundary begins to go around single points. Each network is trained once, from one seed, so that a
# difference of a percent or two says little: two units may even end up worse than one.

counts = [1, 2, 4, 6, 20, 50]
figure, panels = plt.subplots(2, 3, figsize=(9, 6.4), sharex=True, sharey=True)
for axes, count in zip(panels.flat, counts, strict=True):
    trained = train(2, count, 1)
    draw_boundary(axes, *trained)
    axes.set_title(f"{count} hidden: {accuracy(*trained):.1%}")
    axes.label_outer()
figure.suptitle("Accuracy on new points, by the size of the hidden layer")
plt.show()

# %%
# Exercises
# ---------
#
# .. exercise::
#
#    How many parameters has a network with :math:`n_0` inputs, :math:`n_1` hidden units and one output?
#    Check your formula with 2 inputs and 6 units.
#
# Each hidden unit has :math:`n_0` weights and a bias, and the output :math:`n_1` weights and a bias:
# :math:`n_1 (n_0 + 1) + n_1 + 1`.

n_0, n_1 = 2, 6
assert n_1 * (n_0 + 1) + n_1 + 1 == sum(array.size for layer in params for array in layer) == 25

# %%
# .. exercise::
#
#    Replace tanh by the identity in the hidden layer. How good can the network become?
#
# As good as logistic regression. Without a bend between them two layers are one:
# :math:`W^{[2]}(W^{[1]} X + b^{[1]}) + b^{[2]}` is a matrix times :math:`X` plus a column, and the
# boundary is a line again.

flat = pnn.Network((2, 6, 1), ("identity", "sigmoid"), "binary_cross_entropy")
first = flat.initialize(seed=0, dtype="float64")
learned, _ = pnn.fit(flat, first, X, Y, pnn.Adam(0.02), epochs=2000, batch_size=None)
(W_1, b_1), (W_2, b_2) = learned
one_layer = [(W_2 @ W_1, W_2 @ b_1 + b_2)]
np.testing.assert_allclose(flat.predict(learned, X), line.predict(one_layer, X), atol=1e-12)
print(f"accuracy {accuracy(flat, learned):.3f}; logistic regression {accuracy(line, line_params):.3f}")

# %%
# .. exercise::
#
#    Give a network of 50 units the first 80 points only, without and with a penalty for large weights,
#    ``l2=0.3``. How does each do on these points, and on new ones?
#
# Without the penalty it learns all 80 by heart, noise included. With it the weights stay small and the
# boundary smooth: here the network does worse on the points it has seen, and better on new ones.

norms, right = [], []
for l2 in (0.0, 0.3):
    some_net, some_params = train(2, 50, 1, n=80, l2=l2)
    seen = np.mean((some_net.predict(some_params, X[:80]) > 0.5) == Y[:80])
    right.append(accuracy(some_net, some_params))
    norms.append(np.sqrt(equations.squared_norm(np, [W for W, _ in some_params])))
    print(f"l2 {l2:g}: norm of W {norms[-1]:.1f}, right of the 80 {seen:.1%}, of new {right[-1]:.1%}")
assert norms[1] < norms[0]
assert right[1] > right[0]
