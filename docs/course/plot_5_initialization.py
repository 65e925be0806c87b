"""5. Initialization
=================

What the weights begin with decides how soon a deep network learns, if at all. Too small, and the signal
dies on its way up; too large, and it saturates or explodes. In between is a size that you can calculate.
"""

# %%
# The size of the signal
# ----------------------
#
# A unit adds up :math:`n_{l-1}` products. If weights and inputs are independent, and the weights have
# mean zero, its variance is
#
# .. math:: \mathrm{Var}(z) = n_{l-1} \, \mathrm{Var}(w) \, \mathrm{E}(a^2).
#
# To keep the size of the signal from layer to layer, :math:`\mathrm{Var}(w)` has to be about
# :math:`1 / n_{l-1}`. relu sets half of its inputs to zero, so it needs twice as much: that is the
# initialization of **He**. **Xavier** Glorot's also looks at the way back, and takes the mean of
# :math:`n_{l-1}` and :math:`n_l`. (The course also gives Xavier's as :math:`1/n_{l-1}`: the same, where
# layers have equal sizes.) ``Network.initialize`` draws from a normal distribution with the standard
# deviation
#
# .. beside:: portable_nn.network.initialization.spread
#    :line: if scheme == "he" or (scheme == "auto" and activation in RELU_FAMILY):
#    :count: 3
#
#    \sigma_w = \begin{cases}
#    \sqrt{2 / n_{l-1}} & \text{He} \\
#    \sqrt{2 / (n_{l-1} + n_l)} & \text{Xavier}
#    \end{cases}
#
# and biases of zero: He's for relu and those like it (leaky_relu, elu, selu, softplus, silu, gelu, mish,
# hard_swish), Xavier's for the others. ``scheme="he"`` and ``scheme="glorot"`` choose one for all.
# ``scheme="normal"`` takes the constant with which the course begins:
#
# .. beside:: portable_nn.network.initialization.spread
#    :line: return 0.01
#
#    \sigma_w = 0.01

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn

random = np.random.default_rng(0)
X = random.normal(size=(500, 100))
Y = (np.sum(X[:, :5], axis=1, keepdims=True) > 0).astype("float64")


def deep(name):
    """Ten hidden layers of 100 units, then a sigmoid."""
    return pnn.Network((*[100] * 11, 1), [name] * 10 + ["sigmoid"], "binary_cross_entropy")


for name in ("tanh", "relu"):
    W = deep(name).initialize(seed=0)[0][0]
    print(f"{name}: the weights of W[1] have the standard deviation {W.std():.4f}")

# %%
# What it does to the activations
# -------------------------------
#
# Take these weights, smaller and larger ones, and look at :math:`A^{[l]}` in each layer.


def scaled(params, factor):
    """The same weights, `factor` times as large."""
    return [(factor * W, b) for W, b in params]


starts = {"a third": 1 / 3, "as initialized": 1.0, "three times": 3.0}
figure, panels = plt.subplots(1, 2, figsize=(9, 3.8))
for axes, name in zip(panels, ("tanh", "relu"), strict=True):
    net = deep(name)
    first = net.initialize(seed=0, dtype="float64")
    for (label, factor), line in zip(starts.items(), ("v-", "o-", "^-"), strict=True):
        A = net.activations(scaled(first, factor), X)[:-1]
        axes.semilogy(range(1, 11), [np.sqrt(np.mean(each**2)) for each in A], line, label=label)
    axes.set(title=name, xlabel="hidden layer l", ylabel="size of A[l] (root mean square)")
    axes.legend()
figure.suptitle("The size of the activations, before training")
plt.show()

# %%
# tanh cannot explode: it saturates. Its values then crowd at -1 and 1, where its derivative is almost
# zero. With weights that are too small all units end up at 0, whatever the example is.

net = deep("tanh")
first = net.initialize(seed=0, dtype="float64")
figure, panels = plt.subplots(1, 3, figsize=(9, 2.8), sharex=True)
for axes, (label, factor) in zip(panels, starts.items(), strict=True):
    for l, color in ((1, "C0"), (5, "C4"), (10, "C1")):
        A = net.activations(scaled(first, factor), X)[l - 1]
        axes.hist(A.ravel(), np.linspace(-1, 1, 41), histtype="step", color=color, label=f"l = {l}")
    axes.set(title=label, xlabel="A[l]", yscale="log", yticks=[])
panels[0].set_ylabel("how many (log scale)")
panels[1].legend(loc="lower center")
figure.suptitle("tanh: where the activations lie")
plt.show()

# %%
# What it does to the cost
# ------------------------
#
# The same training from four starts, zeros too. With weights that are too small the gradient is zero, or
# next to it, and gradient descent stands still. With weights that are too large tanh learns more slowly;
# relu's first steps end in infinity, and ``fit`` stops and says so.

styles = {"zero": ":", "a third": "--", "as initialized": "-", "three times": "-."}
figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
last = {}
for axes, name in zip(panels, ("tanh", "relu"), strict=True):
    net = deep(name)
    first = net.initialize(seed=0, dtype="float64")
    for label, factor in {"zero": 0.0, **starts}.items():
        begin = scaled(first, factor)
        try:
            _, history = pnn.fit(net, begin, X, Y, pnn.SGD(0.05), epochs=40, batch_size=50)
        except pnn.NonFiniteCostError as error:
            print(f"{name}, {label}: not finite in epoch {error.epoch}")
        else:
            axes.semilogy(range(1, 41), history.cost, styles[label], label=label)
            last[name, label] = history.cost[-1]
    axes.set(title=name, xlabel="epoch", ylabel="cost J")
    axes.label_outer()
    axes.legend()
figure.suptitle("Gradient descent from four starts")
plt.show()
for name in ("tanh", "relu"):
    assert last[name, "as initialized"] < 0.01
    assert last[name, "a third"] > 0.5

# %%
# Exercises
# ---------
#
# .. exercise::
#
#    A relu layer of 256 units takes the 784 pixels of an image. Which standard deviation should its
#    weights have? Check it with ``initialize``.
#
# He's: :math:`\sqrt{2/784} \approx 0.0505`; how many units the layer has does not matter.

images = pnn.Network((784, 256, 10), ("relu", "softmax"), "categorical_cross_entropy")
W = images.initialize(seed=0)[0][0]
print(f"{W.std():.4f}")
assert np.isclose(W.std(), np.sqrt(2 / 784), rtol=0.01)

# %%
# .. exercise::
#
#    With ``scheme="normal"``, how large is :math:`A^{[10]}` of the relu network? Estimate first.
#
# Each layer multiplies the size by :math:`0.01 \sqrt{100 / 2} \approx 0.07`. Ten layers make about
# :math:`0.07^{10} \approx 3 \cdot 10^{-12}` of it, too little to learn from.

net = deep("relu")
A = net.activations(net.initialize(seed=0, dtype="float64", scheme="normal"), X)
size, estimate = np.sqrt(np.mean(A[9] ** 2)), (0.01 * np.sqrt(100 / 2)) ** 10
print(f"measured {size:.1e}, estimated {estimate:.1e}")
assert 1 / 3 < size / estimate < 3

# %%
# .. exercise::
#
#    What if the inputs are not of size 1, but of size 100? Which remedy is better than smaller weights?
#
# :math:`Z^{[1]}` is then 100 times as large, and tanh saturates in the first layer. Standardize the
# inputs: subtract the mean of each feature, divide by its standard deviation.

net = deep("tanh")
params = net.initialize(seed=0, dtype="float64")
large = 100 * X + 30
standardized = (large - large.mean(axis=0)) / large.std(axis=0)
flat = [np.mean(np.abs(net.activations(params, each)[0]) > 0.99) for each in (large, standardized)]
print(f"saturated units in the first layer: {flat[0]:.0%}, then {flat[1]:.0%}")
assert flat[0] > 0.9
assert flat[1] < 0.1
