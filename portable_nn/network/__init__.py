"""A feed-forward network: what it is, its first parameters, its objective, its predictions."""

from portable_nn.network.network import Network

__all__ = ["Network"]
