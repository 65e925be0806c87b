"""A user-defined array backend, which counts matrix products: python examples/own_backend.py"""

import array_api_compat.numpy as np

import portable_nn as pnn


class Counted(np.ndarray):
    products = 0

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        Counted.products += 1
        return super().__matmul__(other)


class CountedBackend(pnn.backends.Backend):
    name, package = "counted", "numpy"

    @classmethod
    def namespace(cls) -> object:
        return np

    @classmethod
    def owns(cls, x: object) -> bool:
        return isinstance(x, Counted)

    def from_host(self, host: np.ndarray, dtype: np.dtype) -> Counted:
        return np.asarray(host, dtype=dtype, copy=True).view(Counted)


pnn.backends.register("counted", CountedBackend)
net, found = pnn.Network((2, 16, 8, 1), ("tanh", "relu", "identity"), "squared_error"), []
for name in ("numpy", "counted"):
    X = pnn.backends.get(name).asarray(np.random.default_rng(0).standard_normal((500, 2)))
    Y = X[:, :1] * X[:, 1:]
    params, _ = pnn.fit(net, net.initialize(0, name, "float64"), X, Y, epochs=50, batch_size=50)
    found.append([net.predict(params, X), *(array for layer in params for array in layer)])
worst = np.max([np.max(np.abs(a - b)) for a, b in zip(*found, strict=True)])
print(f"{Counted.products} matrix products (3L - 1 an update); largest difference from NumPy: {worst}")
