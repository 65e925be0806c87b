"""1. Logistic regression as a network
===================================

Logistic regression is the smallest neural network: one layer, one unit. Everything that a deep network
does is here already: a forward pass, a cost, its gradient, and a step downhill.
"""

# %%
# Two clouds of points, which overlap. Each row of ``X`` is an example with two features, each row of
# ``Y`` its class, 0 or 1.

import timeit

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn
from portable_nn import equations

random = np.random.default_rng(0)
Y = (np.arange(1000) % 2)[:, None].astype("float64")
X = random.normal(size=(1000, 2)) + np.where(Y == 1, [1.2, 0.8], [-1.0, -0.6])

net = pnn.Network((2, 1), activations=("sigmoid",), loss="binary_cross_entropy")
params = net.initialize(seed=0, dtype="float64")
print(net.summary("float64"))

# %%
# Forward
# -------
#
# The unit weighs the features and adds a bias; the sigmoid makes a probability of the sum. The line is
# the same for every layer of every network, so it has a number :math:`l`. Here :math:`l = 1`, and
# :math:`A^{[0]} = X`.
#
# .. beside:: portable_nn.equations.forward
#    :line: Z[l] = W[l] @ A[l - 1] + b[l]
#
#    Z^{[l]} = W^{[l]} A^{[l-1]} + b^{[l]}
#
# .. beside:: portable_nn.equations.forward
#    :line: A[l] = g[l].g(xp, Z[l])
#
#    A^{[l]} = g^{[l]}(Z^{[l]})
#
# .. beside:: portable_nn.equations.activations.sigmoid
#
#    g(z) = \sigma(z) = \frac{1}{1 + e^{-z}}
#
# The code of the sigmoid looks longer than its formula. :math:`e^{-z}` overflows for :math:`z = -1000`,
# :math:`E = e^{-|z|}` never does, and :math:`\sigma(z)` is :math:`1/(1+E)` for :math:`z \ge 0`,
# :math:`E/(1+E)` below.
#
# ``xp`` is the array library that computes: NumPy here. In the equations examples are columns, so ``X``
# goes in as ``X.T``, with the shape (2, 1000).

Z, A = equations.forward(np, params, X.T, net.g)
print("Z[1]", Z[1].shape, " A[1]", A[1].shape)
assert np.array_equal(A[1].T, net.predict(params, X))  # a Network takes rows, and returns rows

# %%
# The cost
# --------
#
# How wrong is a probability :math:`a` if the class is :math:`y`? The cost is the mean of the losses of
# all examples.
#
# .. beside:: portable_nn.equations.losses.binary_cross_entropy
#
#    \mathcal{L}(a, y) = -y \log a - (1 - y) \log(1 - a)
#
# .. beside:: portable_nn.equations.cost
#    :line: return (1 / B) * xp.sum(terms, axis=(-2, -1))
#
#    J = \frac{1}{B} \sum_{i=1}^{B} \mathcal{L}(a^{(i)}, y^{(i)})

J = equations.cost(np, net.loss, net.g[-1], Z[-1], A[-1], Y.T)
print(f"J = {J:.4f} before training")

# %%
# The gradient
# ------------
#
# The chain rule, through the loss and the sigmoid, ends in a difference: how far the prediction is from
# the target. From it follow the derivatives by the weights and by the bias.
#
# .. beside:: portable_nn.equations.output_delta
#    :line: return A - Y
#
#    \Delta^{[L]} = \frac{\partial \mathcal{L}}{\partial Z^{[L]}} = A^{[L]} - Y
#
# .. beside:: portable_nn.equations.backward_to
#    :line: dW[l] = over_examples((1 / B) * Delta[l], A[l - 1])
#
#    \frac{\partial J}{\partial W^{[l]}} = \frac{1}{B} \Delta^{[l]} A^{[l-1]\mathsf{T}}
#
# .. beside:: portable_nn.equations.backward_to
#    :line: db[l] = (1 / B) * xp.sum(Delta[l], axis=-1, keepdims=True)
#
#    \frac{\partial J}{\partial b^{[l]}} = \frac{1}{B} \sum_{i=1}^{B} \Delta^{[l](i)}
#
# ``over_examples`` is the product ``Delta @ A.mT``, which is a sum over the examples; of more than
# 131,072 it is taken in parts, so that float32 keeps its digits.
#
# Vectorization
# -------------
#
# The course first writes the gradient as a loop over the examples, then without one. Here is the loop.
# It is the only place on this page with formulas of its own, and it has to agree with the library.


def gradient_by_loop(W, b, X, Y):
    """dJ/dW and dJ/db, one example after the other."""
    dW, db = np.zeros_like(W), np.zeros_like(b)
    for x, y in zip(X, Y, strict=True):
        z = b[0, 0]
        for j in range(len(x)):
            z += W[0, j] * x[j]
        a = 1 / (1 + np.exp(-z))
        for j in range(len(x)):
            dW[0, j] += (a - y[0]) * x[j] / len(X)
        db[0, 0] += (a - y[0]) / len(X)
    return dW, db


def gradient_by_arrays(X, Y):
    """The same by the equations: a forward and a backward pass for all columns at once."""
    Z, A = equations.forward(np, params, X.T, net.g)
    Delta = equations.output_delta(np, net.loss, net.g[-1], Z[-1], A[-1], Y.T)
    return equations.backward(np, params, Z, A, Delta, net.g)[0]


for looped, vectorized in zip(gradient_by_loop(*params[0], X, Y), gradient_by_arrays(X, Y), strict=True):
    np.testing.assert_allclose(looped, vectorized, rtol=1e-12)

sizes = [10, 100, 1_000, 10_000]
seconds = {"loop": [], "vectorized": []}
for n in sizes:
    some = np.resize(X, (n, 2)), np.resize(Y, (n, 1))
    for name, call in (
        ("loop", "gradient_by_loop(*params[0], *some)"),
        ("vectorized", "gradient_by_arrays(*some)"),
    ):
        seconds[name].append(min(timeit.repeat(call, globals=globals(), number=1, repeat=5)))
print(f"{sizes[-1]:,} examples: {seconds['loop'][-1] / seconds['vectorized'][-1]:.0f} times as fast")

figure, axes = plt.subplots(figsize=(7, 3.4))
for (name, values), marker in zip(seconds.items(), "os", strict=True):
    axes.loglog(sizes, values, marker=marker, label=name)
axes.set(xlabel="examples", ylabel="seconds for one gradient", title="The same gradient, twice")
axes.legend()
plt.show()

# %%
# The loop takes ten times as long for ten times as many examples. The vectorized line hardly notices
# until there are thousands: before that, most of its time is spent calling NumPy at all.
#
# Gradient descent
# ----------------
#
# .. beside:: portable_nn.optimizers.SGD.descend
#    :line: return (theta - alpha * g,)
#
#    \theta \leftarrow \theta - \alpha \frac{\partial J}{\partial \theta}
#
# :math:`\theta` is :math:`W` or :math:`b`, :math:`\alpha` the learning rate. Repeat it, and you have
# trained a network. ``cost_and_gradients`` does the forward and the backward pass, for rows.

optimizer = pnn.SGD(learning_rate=1.0)
by_hand, state = params, optimizer.init(params)
for _ in range(100):
    J, grads = net.cost_and_gradients(by_hand, X, Y)
    by_hand, state = optimizer.update(by_hand, grads, state)

# %%
# ``fit`` is this loop. ``batch_size=None`` takes all examples in each step, as here; the last chapter
# has mini-batches.

how = {"epochs": 100, "batch_size": None}
trained, history = pnn.fit(net, params, X, Y, pnn.SGD(learning_rate=1.0), **how)
np.testing.assert_allclose(trained[0][0], by_hand[0][0], rtol=1e-10)

A = net.predict(trained, X)
print(f"J = {float(net.cost(trained, X, Y)):.4f}, accuracy {np.mean((A > 0.5) == Y):.3f}")

# %%
# The learning rate decides how fast the cost falls; the boundary is where the probability is one half.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
for alpha in (0.01, 0.1, 1.0):
    _, history = pnn.fit(net, params, X, Y, pnn.SGD(alpha), **how)
    left.plot(range(1, 101), history.cost, label=f"learning rate {alpha:g}")
left.set(xlabel="step of gradient descent", ylabel="cost J", title="Three learning rates")
left.legend()

side = np.linspace(-4, 4, 161)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
A = net.predict(trained, grid).reshape(161, 161)
light = {"cmap": "RdBu", "vmin": -0.8, "vmax": 1.8}  # the pale middle of the colours
shades = right.contourf(side, side, A, np.linspace(0, 1, 11), **light)
right.contour(side, side, A, [0.5], colors="black")
for label, color, marker in ((0, "#d55e00", "o"), (1, "#0072b2", "^")):
    shown = X[:300][Y[:300, 0] == label]
    right.scatter(*shown.T, s=14, marker=marker, color=color, label=f"class {label}")
right.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-4, 4), ylim=(-4, 4), title="The decision boundary")
right.set_aspect("equal")
right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)
figure.colorbar(shades, ax=right, label="probability of class 1")
plt.show()

# %%
# Exercises
# ---------
#
# .. exercise::
#
#    What is the cost if all parameters are zero? Work it out on paper, then ask the network.
#
# Every prediction is :math:`\sigma(0) = 1/2`, so every loss is :math:`-\log \frac12 = \log 2`, whatever
# the class is.

zeros = [(np.zeros((1, 2)), np.zeros((1, 1)))]
J = net.cost(zeros, X, Y)
print(f"J = {float(J):.6f}, log 2 = {np.log(2):.6f}")
assert np.isclose(J, np.log(2))

# %%
# .. exercise::
#
#    The boundary is a straight line. Which one? Find its equation in terms of :math:`W^{[1]}` and
#    :math:`b^{[1]}`, and check two of its points.
#
# The probability is one half where :math:`z = w_1 x_1 + w_2 x_2 + b = 0`, so
# :math:`x_2 = -(w_1 x_1 + b) / w_2`.

(W, b) = trained[0]
x_1 = np.array([-2.0, 2.0])
on_the_line = np.stack([x_1, -(W[0, 0] * x_1 + b[0, 0]) / W[0, 1]], axis=1)
print(net.predict(trained, on_the_line).ravel())
np.testing.assert_allclose(net.predict(trained, on_the_line), 0.5)

# %%
# .. exercise::
#
#    :math:`A - Y` is a shortcut. Take the long way: multiply :math:`\partial \mathcal{L} / \partial A`
#    by :math:`g'(Z)`. Do you get the same numbers?
#
# You do, as long as :math:`A` is not close to 0 or 1. There the long way divides by almost nothing and
# loses digit after digit, which is why the library prefers the short one.

Z, A = equations.forward(np, trained, X.T, net.g)
dA = net.loss.derivative(np, A[1], Y.T)
long_way = equations.delta(np, net.g[0], Z[1], dA)
np.testing.assert_allclose(long_way, A[1] - Y.T, atol=1e-12)

# sphinx_gallery_thumbnail_number = 2
