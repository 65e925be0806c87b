"""3. Activations and their derivatives
====================================

Without activations a network is one linear function, however many layers it has. Here are all of the
package's activations with their derivatives. You will see which of them saturate, and why weights must
not begin at zero.
"""

# %%
# The four of the course
# ----------------------
#
# Each function has its derivative right under it in the package. First the **sigmoid**, then **tanh**,
# **relu** and **leaky relu**; :math:`a` stands for :math:`g(z)`.
#
# .. beside:: portable_nn.equations.activations.sigmoid
#
#    g(z) = \frac{1}{1 + e^{-z}}
#
# .. beside:: portable_nn.equations.activations.sigmoid_prime
#
#    g'(z) = a (1 - a)
#
# .. beside:: portable_nn.equations.activations.tanh
#
#    g(z) = \frac{e^z - e^{-z}}{e^z + e^{-z}}
#
# .. beside:: portable_nn.equations.activations.tanh_prime
#
#    g'(z) = 1 - a^2
#
# .. beside:: portable_nn.equations.activations._relu
#    :line: return xp.maximum(Z, 0.0)
#
#    g(z) = \max(0, z)
#
# .. beside:: portable_nn.equations.activations.unit_step
#    :line: return xp.astype(Z >= 0, Z.dtype)
#
#    g'(z) = \begin{cases} 1 & z \ge 0 \\ 0 & z < 0 \end{cases}
#
# .. beside:: portable_nn.equations.activations._leaky_relu
#    :line: return xp.maximum(slope * Z, Z)
#
#    g(z) = \max(0.01 z, z)
#
# .. beside:: portable_nn.equations.activations._leaky_relu_prime
#    :line: return xp.maximum(step(xp, Z, at_zero), slope)
#
#    g'(z) = \begin{cases} 1 & z \ge 0 \\ 0.01 & z < 0 \end{cases}
#
# The derivatives of sigmoid and tanh are not computed as :math:`a(1-a)` and :math:`1-a^2`. For
# :math:`z = 40`, :math:`a` rounds to 1 and :math:`1 - a` to 0, although the derivative is
# :math:`4 \cdot 10^{-18}`. With :math:`E = e^{-|z|}` all digits are kept:

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn
from portable_nn.equations import ACTIVATIONS

z = np.array([[40.0]])
sigmoid = ACTIVATIONS["sigmoid"]
a = sigmoid.g(np, z)
print(f"a (1 - a) = {(a * (1 - a)).item():g}, g_prime = {sigmoid.g_prime(np, z).item():.3g}")

# %%
# All of them
# -----------
#
# An ``Activation`` has a name, ``g`` and ``g_prime``. Both take the array library first, then an array
# of any shape. The picture calls nothing else.

elementwise = [each for each in ACTIVATIONS.values() if each.g_prime is not None]
Z = np.linspace(-4, 4, 401)
figure, panels = plt.subplots(5, 3, figsize=(9, 12), sharex=True)
for axes, activation in zip(panels.flat, elementwise, strict=False):
    axes.axhline(0, color="#8c8c8c", linewidth=0.6)
    axes.plot(Z, activation.g(np, Z), label="g(z)")
    axes.plot(Z, activation.g_prime(np, Z), "--", label="g'(z)")
    axes.set(title=activation.name, ylim=(-1.6, 3.2), xticks=[-4, -2, 0, 2, 4])
for axes in panels.flat[len(elementwise) :]:
    axes.set_axis_off()
for axes in panels[-2]:
    axes.tick_params(labelbottom=True)
figure.supxlabel("z")
panels[-1, -1].legend(*panels[0, 0].get_legend_handles_labels(), loc="center", fontsize="large")
plt.show()

# %%
# One is missing: **softmax** mixes all units of a layer, so its derivative is a matrix for each example.
# It has a function ``delta`` instead, which multiplies by that matrix.
#
# .. beside:: portable_nn.equations.activations.softmax
#
#    a_k = \frac{e^{z_k}}{\sum_j e^{z_j}}
#
# .. beside:: portable_nn.equations.activations.softmax_delta
#
#    \frac{\partial a_k}{\partial z_j} = a_k (1[j = k] - a_j)
#
# What saturates
# --------------
#
# Far from zero the sigmoid is flat: :math:`g'(z) \approx 0`, and what is multiplied by it is lost. Even
# at its best, at :math:`z = 0`, its derivative is 1/4. Watch an error signal on its way down through
# twenty layers:
#
# .. beside:: portable_nn.equations.backward_to
#    :line: Delta[l] = delta(xp, g[l], Z[l], dA[l])
#
#    \Delta^{[l]} = \frac{\partial \mathcal{L}}{\partial A^{[l]}} * g^{[l]\prime}(Z^{[l]})

random = np.random.default_rng(0)
X = random.normal(size=(200, 50))
Y = (X[:, :1] > 0).astype("float64")

figure, axes = plt.subplots(figsize=(8, 3.8))
for name, marker in (("sigmoid", "o"), ("tanh", "s"), ("relu", "^"), ("gelu", "D")):
    net = pnn.Network((50,) * 21 + (1,), [name] * 20 + ["sigmoid"], "binary_cross_entropy")
    _, grads = net.cost_and_gradients(net.initialize(seed=0, dtype="float64"), X, Y)
    sizes = [np.sqrt(np.mean(dW**2)) for dW, _ in grads[:-1]]
    axes.semilogy(range(1, 21), sizes, marker=marker, markersize=4, label=name)
axes.set(
    xlabel="hidden layer l", ylabel="size of ∂J/∂W[l] (root mean square)", xticks=[1, 5, 10, 15, 20]
)
axes.set_title("The gradient in twenty hidden layers, before training")
axes.legend()
plt.show()

# %%
# With sigmoid units the first layers hear almost nothing of the error: their gradient is a millionth of
# a millionth of the last one's. That is why the course recommends relu for hidden layers, and keeps the
# sigmoid for the output, where the matched loss cancels its derivative. tanh fares better, since its
# derivative at zero is 1; where the weights are too large it saturates too, as chapter 5 shows.
#
# Why not begin at zero
# ---------------------
#
# Let all weights into a hidden layer begin alike, and all weights out of it. Then its units compute the
# same, get the same gradient, and stay the same: a layer of ten units is worth one. With zeros and tanh
# it is worse still. :math:`A^{[1]}` is zero, so :math:`W^{[2]}` gets no gradient; :math:`W^{[2]}` is
# zero, so no error comes back to :math:`W^{[1]}`. Only the last bias learns.

net = pnn.Network((2, 10, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
X = random.normal(size=(400, 2))
Y = (X[:, :1] * X[:, 1:] > 0).astype("float64")  # 1 where both features have one sign
figure, axes = plt.subplots(figsize=(8, 3.4))
for label, scale in (("all zero", 0.0), ("all 0.5", 0.5), ("random", None)):
    params = net.initialize(seed=0, dtype="float64")
    if scale is not None:
        params = [(np.full_like(W, scale), b) for W, b in params]
    params, history = pnn.fit(net, params, X, Y, pnn.Adam(0.02), epochs=400, batch_size=None)
    W = params[0][0]
    different = len(np.unique(W.round(9), axis=0))
    axes.plot(history.cost, label=f"{label}: {different} different unit{'s' * (different > 1)}")
axes.set(xlabel="epoch", ylabel="cost J", title="Ten hidden units, by what their weights begin with")
axes.legend()
plt.show()

# %%
# Biases may begin at zero: the random weights already make the units differ.
#
# Exercises
# ---------
#
# .. exercise::
#
#    Where is the derivative of tanh largest, and how large is it? And that of the sigmoid?
#
# At zero both times: :math:`1 - 0^2 = 1` and :math:`\frac12 (1 - \frac12) = \frac14`.

Z = np.linspace(-3, 3, 601)
for name, largest in (("tanh", 1.0), ("sigmoid", 0.25)):
    slope = ACTIVATIONS[name].g_prime(np, Z)
    assert np.isclose(Z[np.argmax(slope)], 0)
    assert np.isclose(slope.max(), largest)

# %%
# .. exercise::
#
#    Show that :math:`\tanh z = 2 \sigma(2z) - 1`, by numbers and on paper.
#
# Multiply numerator and denominator of :math:`(e^z - e^{-z}) / (e^z + e^{-z})` by :math:`e^{-z}`: it is
# :math:`(1 - e^{-2z}) / (1 + e^{-2z}) = 2 / (1 + e^{-2z}) - 1`.

tanh = ACTIVATIONS["tanh"]
np.testing.assert_allclose(tanh.g(np, Z), 2 * sigmoid.g(np, 2 * Z) - 1, atol=1e-15)

# %%
# .. exercise::
#
#    Make an activation of your own, :math:`g(z) = z / (1 + |z|)`, find its derivative, and train
#    with it.
#
# With :math:`s = 1 + |z|` the derivative is :math:`(s - |z|) / s^2 = 1 / s^2`. ``Network`` tries both
# functions when it is made and would warn of a wrong one; chapter 6 shows how.

softsign = pnn.Activation(
    "softsign",
    g=lambda xp, Z: Z / (1 + xp.abs(Z)),
    g_prime=lambda xp, Z: 1 / (1 + xp.abs(Z)) ** 2,
)
net = pnn.Network((2, 10, 1), (softsign, "sigmoid"), "binary_cross_entropy")
params = net.initialize(seed=0, dtype="float64")
assert net.check_gradients(params, X, Y) < 1e-6
params, history = pnn.fit(net, params, X, Y, pnn.Adam(0.02), epochs=400, batch_size=None)
print(f"cost {history.cost[0]:.3f} at first, {history.cost[-1]:.3f} in the end")
assert history.cost[-1] < 0.2

# sphinx_gallery_thumbnail_number = 2
