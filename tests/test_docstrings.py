"""Every public function says what it takes; what is shown as an example runs."""

from __future__ import annotations

import doctest
import inspect
import re

import pytest

import portable_nn as pnn
from portable_nn import backends, equations, interchange, schedules
from portable_nn.network import network

pytestmark = pytest.mark.usefixtures("host_only")
# scikit-learn checks the others
OURS = [name for name in pnn.__all__ if pnn.ROOM_OF.get(name) not in pnn.WITH_SCIKIT_LEARN]
PLACES = {
    pnn: OURS,
    backends: backends.__all__,
    equations: equations.__all__,
    schedules: schedules.__all__,
    interchange: interchange.__all__,
}
UNSAID = {"self", "cls", "xp", "x", "state", "rest", "constants"}  # their names say it
UNSAID |= {"arguments", "named", "options", "kwargs"}
PROTOCOLS = ("Array", "Namespace")  # they are the array API standard's


def public_functions():
    for place, names in PLACES.items():
        for name in sorted(set(names) - set(PROTOCOLS)):
            thing = getattr(place, name)
            if inspect.isclass(thing) and not issubclass(thing, Exception):
                yield f"{name}", thing, thing
                for key, member in vars(thing).items():
                    function = getattr(member, "__func__", member)
                    if inspect.isfunction(function) and not key.startswith("_"):
                        yield f"{name}.{key}", function, thing
            elif inspect.isfunction(thing):
                yield name, thing, thing


FUNCTIONS = {name: (function, owner) for name, function, owner in public_functions()}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_every_parameter_is_in_the_docstring(name):
    function, owner = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    assert text, name
    parameters = inspect.signature(function).parameters
    if name == "Network.cost":  # its docstring sends the reader there
        text += inspect.getdoc(pnn.Network.cost_and_gradients)
    said = text + (inspect.getdoc(owner) or "") + (inspect.getmodule(function).__doc__ or "")
    for parameter in set(parameters) - UNSAID:
        assert re.search(rf"\b{re.escape(parameter)}\b", said), f"{name}: {parameter}"


@pytest.mark.parametrize("module", [schedules, network], ids=lambda module: module.__name__)
def test_the_examples_of_the_docstrings_run(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
