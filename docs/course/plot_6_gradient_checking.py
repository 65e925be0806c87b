"""6. Gradient checking
====================

A wrong derivative does not stop a program. The cost falls a little, the network learns something, and
nobody knows why it is not better. Here is how to find out within a second. You will plant such an error
and watch it being caught.
"""

# %%
# Differences
# -----------
#
# Move one parameter :math:`\theta` a little to both sides and see what the cost does. The two-sided
# difference misses the derivative by something of the order :math:`\varepsilon^2`.
#
# .. beside:: portable_nn.network.gradient_check.differences
#    :line: both = (J_at[1] - J_at[-1]) / (2 * h)
#
#    \frac{\partial J}{\partial \theta} \approx
#    \frac{J(\theta + \varepsilon) - J(\theta - \varepsilon)}{2 \varepsilon}
#
# In the code :math:`\varepsilon` is ``h``. At a kink such as relu's every slope between the differences
# to the left and to the right counts as right.
#
# The errors are these differences from the gradient, relative to the largest derivative of all.
#
# .. beside:: portable_nn.network.gradient_check.Slopes.errors
#    :line: return np.asarray(apart / largest)
#
#    \frac{|\mathrm{d}\theta_k - \mathrm{d}\theta_k^{\text{approx}}|}
#    {\max_j |\mathrm{d}\theta_j^{\text{approx}}|}
#
# ``check_gradients`` does this for every entry of every :math:`W` and :math:`b`, and returns the largest
# error. (The course divides one norm by another; the idea is the same, and a single wrong entry shows
# more clearly in a maximum.)

import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn

random = np.random.default_rng(0)
X = random.normal(size=(200, 4))
Y = (np.sin(2 * X[:, :1]) + X[:, 1:2] > 0).astype("float64")

net = pnn.Network((4, 6, 5, 1), ("tanh", "tanh", "sigmoid"), "binary_cross_entropy")
params = net.initialize(seed=0, dtype="float64")
print(f"relative error {net.check_gradients(params, X, Y):.1e}")

# %%
# About :math:`10^{-8}` or less is right; :math:`10^{-3}` is an error somewhere. Use float64: float32 has
# seven digits, and the difference of two costs loses most of them.
#
# A planted error
# ---------------
#
# Somebody writes their own tanh for the second hidden layer, and forgets the square in :math:`1 - a^2`.

sloppy = pnn.Activation(
    "sloppy_tanh",
    g=lambda xp, Z: xp.tanh(Z),
    g_prime=lambda xp, Z: 1 - xp.tanh(Z),  # should be 1 - xp.tanh(Z) ** 2
)

# %%
# ``Network`` tries every activation it does not know on a few numbers, and warns at once:

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    wrong = pnn.Network((4, 6, 5, 1), ("tanh", sloppy, "sigmoid"), "binary_cross_entropy")
print(textwrap.fill(str(caught[0].message), 95))

# %%
# Suppose that nobody reads warnings. The cost even falls:

_, of_right = pnn.fit(net, params, X, Y, pnn.SGD(0.5), epochs=200, batch_size=None)
_, of_wrong = pnn.fit(wrong, params, X, Y, pnn.SGD(0.5), epochs=200, batch_size=None)
for name, history in (("right", of_right), ("wrong", of_wrong)):
    print(f"{name}: cost {history.cost[0]:.3f} at first, {history.cost[-1]:.3f} after 200 epochs")

# %%
# But the check is not fooled:

print(f"right {net.check_gradients(params, X, Y):.1e}, wrong {wrong.check_gradients(params, X, Y):.1e}")

# %%
# Which parameters are wrong?
# ---------------------------
#
# ``gradient_errors`` has the errors of all entries, array by array, and the pattern tells where to look.

found = wrong.gradient_errors(params, X, Y)
for name, errors in found.items():
    print(f"{name} {errors.shape!s:7} {errors.max():.0e}")

# %%
# The gradient of the last layer is right: no derivative of the sloppy tanh is in it. Below, everything
# is wrong. What came in between is :math:`g^{[2]\prime}`. (Errors are relative to the largest derivative
# of all: in a layer whose gradient has vanished, as in chapter 3, they would not show.)

figure, axes = plt.subplots(figsize=(8.5, 4))
for label, checked, marker, color, shift in (
    ("right", net, "o", "C0", -0.15),
    ("one derivative wrong", wrong, "^", "C1", 0.15),
):
    for place, errors in enumerate(checked.gradient_errors(params, X, Y).values()):
        around = place + shift + np.linspace(-0.1, 0.1, errors.size)
        named = {"label": label} if place == 0 else {}
        axes.semilogy(around, errors.ravel() + 1e-14, marker, color=color, markersize=4, **named)
axes.axhline(1e-7, color="#8c8c8c", linestyle="--", linewidth=1)
axes.set(xticks=range(6), xticklabels=found, ylabel="relative error of each entry")
axes.set_title("The gradient against differences, entry by entry")
axes.legend(loc="upper right")
plt.show()

# %%
# How large a step?
# -----------------
#
# A large :math:`\varepsilon` makes a crude difference. A tiny one subtracts two numbers that agree in
# nearly all digits, and rounding is what remains. The best is in between; the default is
# :math:`10^{-5}`. An error in a derivative shows at every step.

epsilons = np.logspace(-11, -1, 21)
figure, axes = plt.subplots(figsize=(8, 3.6))
for label, checked, line in (("right", net, "o-"), ("one derivative wrong", wrong, "^-")):
    errors = [checked.check_gradients(params, X, Y, epsilon=each) for each in epsilons]
    axes.loglog(epsilons, errors, line, markersize=4, label=label)
slope = epsilons[9:] ** 2
axes.loglog(epsilons[9:], slope / slope[-1] * 0.02, ":", color="#8c8c8c", label="proportional to ε²")
axes.set(xlabel="ε", ylabel="relative error", title="check_gradients by the size of the step")
axes.legend()
plt.show()

# %%
# Exercises
# ---------
#
# .. exercise::
#
#    Mend the activation, and show that the check is content.
#
# With the square the warning goes too.

mended = pnn.Activation("tanh_again", g=sloppy.g, g_prime=lambda xp, Z: 1 - xp.tanh(Z) ** 2)
right = pnn.Network((4, 6, 5, 1), ("tanh", mended, "sigmoid"), "binary_cross_entropy")
print(f"relative error {right.check_gradients(params, X, Y):.1e}")
assert right.check_gradients(params, X, Y) < 1e-7

# %%
# .. exercise::
#
#    The penalty :math:`\frac{\lambda}{2B} \sum_l \|W^{[l]}\|^2` adds to the cost. What does it add to
#    :math:`\partial J / \partial W^{[l]}`? Check your answer, and check it with ``check_gradients``.
#
# :math:`\frac{\lambda}{B} W^{[l]}`, and nothing to the gradient of :math:`b^{[l]}`.

l2 = 3.0
_, plain = net.cost_and_gradients(params, X, Y)
_, penalized = net.cost_and_gradients(params, X, Y, l2=l2)
for (W, _), (dW, db), (dW_l2, db_l2) in zip(params, plain, penalized, strict=True):
    np.testing.assert_allclose(dW_l2, dW + l2 / len(X) * W, atol=1e-12)
    np.testing.assert_allclose(db_l2, db, atol=1e-12)
assert net.check_gradients(params, X, Y, l2=l2) < 1e-7

# %%
# .. exercise::
#
#    Check the gradients in float32, with the default step and with a larger one. What do you see?
#
# With :math:`10^{-5}` rounding drowns the difference: the check fails although the gradient is right. A
# larger step helps, but not down to :math:`10^{-7}`. Check in float64, train in what you like.

small = [tuple(array.astype("float32") for array in layer) for layer in params]
errors = [
    net.check_gradients(small, X.astype("float32"), Y.astype("float32"), epsilon=each)
    for each in (1e-5, 1e-2)
]
print(f"epsilon 1e-5: {errors[0]:.1e}, epsilon 1e-2: {errors[1]:.1e}")
assert errors[0] > errors[1] > 1e-6
