"""The threads of matrix products: one while that is wanted, and then as many as before."""

from __future__ import annotations

import pytest

pytest.importorskip("threadpoolctl")

from portable_nn.backends.blas_threads import OneThread, loaded, own_of_scipy

pytestmark = pytest.mark.usefixtures("host_only")


class Library:
    """A stand-in: a library with four threads."""

    def __init__(self, filepath):
        self.filepath, self.num_threads = filepath, 4

    def set_num_threads(self, count):
        self.num_threads = count


def test_the_last_user_takes_the_setting_back_in_whatever_order_they_end():
    one, a, b = OneThread(), Library("a"), Library("b")
    first, second = one.within([a, b]), one.within([a])
    first.__enter__()
    second.__enter__()
    assert (a.num_threads, b.num_threads) == (1, 1)
    first.__exit__(None, None, None)
    assert (a.num_threads, b.num_threads) == (1, 4)
    second.__exit__(None, None, None)
    assert (a.num_threads, b.num_threads) == (4, 4)
    assert not one.known


def test_an_error_takes_it_back_too():
    one, a = OneThread(), Library("a")
    with pytest.raises(ZeroDivisionError), one.within([a]):
        raise ZeroDivisionError
    assert a.num_threads == 4


def test_a_library_that_numpy_uses_is_not_scipys_own():
    pytest.importorskip("scipy.linalg")
    paths = {each.filepath for each in loaded()}
    own = {each.filepath for each in own_of_scipy()}
    assert own <= paths
    assert not any("numpy" in path.replace("\\", "/").split("/")[-2] for path in own)
