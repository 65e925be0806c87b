"""7. Mini-batches and optimizers
==============================

Gradient descent on all examples is safe and slow. Take a few examples per step, remember the last steps,
give each parameter a pace of its own: three ideas that make it fast.
"""

# %%
# Four rules
# ----------
#
# Each rule takes a parameter :math:`\theta`, its gradient :math:`g`, and what it remembers. All four are
# in one file of the package, in this order.
#
# **Gradient descent** remembers nothing.
#
# .. beside:: portable_nn.optimizers.SGD.descend
#    :line: return (theta - alpha * g,)
#
#    \theta \leftarrow \theta - \alpha g
#
# **Momentum** remembers a velocity :math:`v`. The course writes
# :math:`v \leftarrow \beta v + (1-\beta) g` and :math:`\theta \leftarrow \theta - \alpha v`: the same
# path, with a learning rate that is :math:`1/(1-\beta)` times as large. The first exercise shows it.
#
# .. beside:: portable_nn.optimizers.SGD.roll
#    :line: v = mu * v - alpha * g
#    :count: 2
#
#    v &\leftarrow \mu v - \alpha g \\
#    \theta &\leftarrow \theta + v
#
# **RMSprop** divides by the size of the last gradients, entry by entry.
#
# .. beside:: portable_nn.optimizers.RMSprop.rule
#    :line: v = rho * v + rest_of_rho * (g * g)
#    :count: 2
#
#    v &\leftarrow \rho v + (1 - \rho) g^2 \\
#    \theta &\leftarrow \theta - \alpha \frac{g}{\sqrt{v} + \varepsilon}
#
# **Adam** does both, and corrects the means for having begun at zero.
#
# .. beside:: portable_nn.optimizers.Adam.rule
#    :line: m = beta_1 * m + gamma_1 * g
#    :count: 3
#
#    m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
#    v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
#    \theta &\leftarrow \theta - \alpha \frac{\hat{m}}{\sqrt{\hat{v}} + \varepsilon}
#
# .. beside:: portable_nn.optimizers.Adam.coefficients
#    :line: alpha_t, root_t = alpha / (1 - self.beta_1**t)
#
#    \hat{m} = \frac{m}{1 - \beta_1^t}, \quad \hat{v} = \frac{v}{1 - \beta_2^t}
#
# The corrections are numbers, so they are calculated once for each step and multiply
# :math:`\alpha` and :math:`\sqrt{v}`; no array is divided for them.
#
# A long valley
# -------------
#
# An optimizer works on any list of arrays, so you can watch it in two dimensions:
# :math:`J = \frac12 (\theta_1^2 + 25 \theta_2^2)`, a valley 5 times as long as it is wide.

import math

import matplotlib.pyplot as plt
import numpy as np

import portable_nn as pnn

curvature = np.array([[1.0], [25.0]])


def path(optimizer, steps=60):
    """Where the optimizer goes from (-9, 1.6)."""
    params = [(np.array([[-9.0], [1.6]]),)]
    state, places = optimizer.init(params), [params[0][0].ravel()]
    for _ in range(steps):
        grads = [(curvature * params[0][0],)]
        params, state = optimizer.update(params, grads, state)
        places.append(params[0][0].ravel())
    return np.array(places)


optimizers = {
    "gradient descent": pnn.SGD(0.06),
    "momentum": pnn.SGD(0.012, momentum=0.85),
    "RMSprop": pnn.RMSprop(0.25),
    "Adam": pnn.Adam(0.5),
}
across, along = np.meshgrid(np.linspace(-10, 3, 131), np.linspace(-2.2, 2.2, 89))
figure, panels = plt.subplots(2, 2, figsize=(9, 4.8), sharex=True, sharey=True)
for axes, (name, optimizer) in zip(panels.flat, optimizers.items(), strict=True):
    levels = [0.2, 2, 8, 20, 40, 70]
    J = (across**2 + 25 * along**2) / 2
    axes.contour(across, along, J, levels, colors="#8c8c8c", linewidths=0.7)
    axes.plot(*path(optimizer).T, "o-", color="C0", markersize=3, linewidth=1)
    axes.plot(0, 0, "*", color="C1", markersize=12)
    axes.set(title=name, xlabel="$θ_1$", ylabel="$θ_2$")
    axes.label_outer()
figure.suptitle("Sixty steps in a valley; the star is the minimum")
plt.show()

# %%
# Gradient descent jumps from wall to wall: its learning rate is held down by the steep direction.
# Momentum adds up what stays the same and lets the rest cancel. RMSprop and Adam stretch the valley
# until it is round; Adam, which has momentum as well, swings past the minimum and comes back.
#
# Mini-batches
# ------------
#
# With ``batch_size=64`` an epoch of 2,000 examples is 32 steps instead of one. Each gradient is a little
# wrong, because it is the mean over 64 examples instead of all; the steps make up for it.

random = np.random.default_rng(0)
n = 2000
Y = (np.arange(n) % 2)[:, None].astype("float64")
r = np.sqrt(random.uniform(0.02, 1, (n, 1)))
t = np.pi * (3 * r + Y)
X = 2 * r * np.hstack([np.cos(t), np.sin(t)]) + random.normal(0, 0.12, (n, 2))

net = pnn.Network((2, 16, 16, 1), ("relu", "relu", "sigmoid"), "binary_cross_entropy")
params = net.initialize(seed=0, dtype="float64")


def gradient(rows):
    """The gradient from these rows, as one vector."""
    _, grads = net.cost_and_gradients(params, X[rows], Y[rows])
    return np.concatenate([array.ravel() for layer in grads for array in layer])


exact = gradient(slice(None))
sizes = [1, 4, 16, 64, 256, 1024]
errors = []
for size in sizes:
    of_batches = [gradient(random.choice(n, size, replace=False)) for _ in range(100)]
    errors.append(np.mean([np.linalg.norm(g - exact) for g in of_batches]) / np.linalg.norm(exact))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
left.loglog(sizes, errors, "o-", label="measured")
left.loglog(sizes, errors[0] / np.sqrt(sizes), ":", color="#8c8c8c", label="1 / √size")
left.set(xlabel="size of the batch", ylabel="relative error", title="How wrong is the gradient?")
left.legend()
for size, line in ((None, "--"), (512, "-."), (64, "-")):
    how = {"epochs": 100, "batch_size": size}
    _, history = pnn.fit(net, params, X, Y, pnn.Adam(0.01), **how)
    label = f"batches of {size}" if size else "all examples"
    right.semilogy(range(1, 101), history.cost, line, label=label)
right.set(xlabel="epoch", ylabel="cost J", title="The cost, by the size of the batch", ylim=(4e-4, 1))
right.legend(loc="lower left")
plt.show()

# %%
# Four times as many examples halve the error, and cost four times the work. (The last point is better
# still: half of all examples are in each of its batches.) Small batches use the work better, down to a
# size below which a step costs mostly its overhead: 32 to 512 is common.
#
# The four rules at work
# ----------------------
#
# The same network, the same batches, four optimizers. The learning rates have been tried out roughly.

trials = {
    "gradient descent": pnn.SGD(0.3),
    "momentum": pnn.SGD(0.1, momentum=0.9),
    "RMSprop": pnn.RMSprop(0.003),
    "Adam": pnn.Adam(0.01),
}
figure, axes = plt.subplots(figsize=(8, 3.8))
for (name, optimizer), line in zip(trials.items(), (":", "--", "-.", "-"), strict=True):
    _, history = pnn.fit(net, params, X, Y, optimizer, epochs=60, batch_size=64)
    axes.semilogy(range(1, 61), history.cost, line, label=name)
axes.set(xlabel="epoch", ylabel="cost J", ylim=(0.004, 3))
axes.set_title("Four optimizers on the spiral, batches of 64")
axes.legend()
plt.show()

# %%
# Adam needs the least tuning, which is why it is the default of ``fit``. The peaks are steps that were
# too long; the third exercise makes those at the end shorter.
#
# Exercises
# ---------
#
# .. exercise::
#
#    Write the course's momentum as a loop for the valley, and find the learning rate for which
#    ``pnn.SGD(..., momentum=0.85)`` takes the same path.
#
# With :math:`v' = -\alpha v` the course's two lines become
# :math:`v' \leftarrow \beta v' - \alpha (1 - \beta) g` and :math:`\theta \leftarrow \theta + v'`. So the
# learning rate is :math:`\alpha (1 - \beta)`.

alpha, beta = 0.08, 0.85
theta, v = np.array([[-9.0], [1.6]]), np.zeros((2, 1))
for _ in range(60):
    v = beta * v + (1 - beta) * curvature * theta
    theta = theta - alpha * v
ours = path(pnn.SGD(alpha * (1 - beta), momentum=beta))[-1]
print(theta.ravel(), ours)
np.testing.assert_allclose(ours, theta.ravel(), atol=1e-12)

# %%
# .. exercise::
#
#    How far does Adam's first step go, and why does it hardly depend on the gradient?
#
# For :math:`t = 1` the corrections give :math:`\hat{m} = g` and :math:`\hat{v} = g^2`, so the step is
# :math:`\alpha \, g / |g|`: as long as the learning rate, in each direction.

start, first = path(pnn.Adam(0.5), steps=1)
print(first - start)
np.testing.assert_allclose(np.abs(first - start), 0.5, rtol=1e-6)

# %%
# .. exercise::
#
#    Let the learning rate fall while the network trains: ``pnn.schedules.cosine(0.03, steps)`` goes from
#    0.03 to 0 along half a cosine. How many ``steps`` are 60 epochs in batches of 64? Does it help?
#
# :math:`60 \lceil 2000 / 64 \rceil = 1920`. A large rate at the start goes far, a small one in the end
# settles.

steps = 60 * math.ceil(n / 64)
assert steps == 1920
falling = pnn.Adam(pnn.schedules.cosine(0.03, steps))
costs = {}
for name, optimizer in (("constant", pnn.Adam(0.03)), ("falling", falling)):
    _, history = pnn.fit(net, params, X, Y, optimizer, epochs=60, batch_size=64)
    costs[name] = np.mean(history.cost[-10:])
    print(f"{name}: J = {costs[name]:.4f}, the mean of the last ten epochs")
assert costs["falling"] < costs["constant"]
