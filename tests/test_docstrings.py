"""Every public name says in full what it takes, gives and raises; what is shown as an example runs."""

from __future__ import annotations

import dataclasses
import doctest
import functools
import importlib.util
import inspect
import re
from typing import Any

import pytest

import portable_nn as pnn
from portable_nn import backends, distributed, equations, interchange, schedules
from portable_nn.backends import registry

pytestmark = pytest.mark.usefixtures("host_only")
HAS_SCIKIT_LEARN = importlib.util.find_spec("sklearn") is not None
PLACES = [pnn, backends, distributed, equations, interchange, schedules]
PLACES += [pnn.model_selection] if HAS_SCIKIT_LEARN else []
HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", flags=re.MULTILINE)
IMPORTED = re.compile(r"^(?:import|from) (\w+)", flags=re.MULTILINE)

# it has no base class, and is what this one describes
SAME_AS: dict[Any, Any] = {distributed.Alone: distributed.Communicator}
# their methods, and what they are made from, are those of the array API standard
OF_THE_STANDARD = {equations.Array, equations.Namespace}
ANY_ARGUMENTS = {*OF_THE_STANDARD, distributed.Communicator}  # protocols, which nobody calls


def ours(thing: Any) -> bool:
    return getattr(thing, "__module__", "").startswith("portable_nn")


def function_of(member: Any) -> Any:
    """The function in a method, class method, static method or property; None in what is none."""
    member = getattr(member, "fget", None) or getattr(member, "func", None) or member
    member = getattr(member, "__func__", member)
    return member if inspect.isfunction(member) else None


def definitions(cls: type, key: str) -> list[Any]:
    """What a class and its bases define under this name, the class's own first; what is ours of it."""
    classes = [*cls.__mro__, SAME_AS.get(cls)]
    found = [vars(each)[key] for each in classes if each is not None and key in vars(each)]
    return [member for member in found if function_of(member) and ours(function_of(member))]


def public_things() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place in PLACES:
        for name in sorted(place.__all__):
            thing = getattr(place, name)
            is_known = any(thing is other for other in found.values())
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and not is_known:
                prefix = "" if place is pnn else place.__name__.removeprefix("portable_nn.") + "."
                found[prefix + name] = thing
    return found


def public_methods() -> dict[str, tuple[type, str]]:
    return {
        f"{name}.{key}": (cls, key)
        for name, cls in THINGS.items()
        if inspect.isclass(cls) and cls not in OF_THE_STANDARD
        for key in dir(cls)
        if not key.startswith("_") and definitions(cls, key)
    }


def sections(docstring: str | None) -> dict[str, str]:
    """The text of each section of a docstring in numpydoc's form; under "" what stands before them."""
    first, *rest = HEADING.split(inspect.cleandoc(docstring or ""))
    return {"": first} | dict(zip(rest[::2], rest[1::2], strict=True))


def described(section: str) -> dict[str, str]:
    """The names in a section and, after the colon, what each of them is."""
    lines = [line for line in section.splitlines() if line and not line.startswith(" ")]
    parts = [line.partition(" :") for line in lines]
    return {name.strip(" *"): kind.strip() for names, _, kind in parts for name in names.split(",")}


def parameters(function: Any) -> set[str]:
    if dataclasses.is_dataclass(function):  # some have a `__new__` for messages
        function = function.__init__
    return set(inspect.signature(function).parameters) - {"self", "cls"}


def missing(docstring: str | None, function: Any, wanted: set[str]) -> list[str]:
    """What a docstring lacks that says in full what the function takes and gives."""
    found = sections(docstring)
    told = described(found.get("Parameters", ""))
    if inspect.isclass(function):  # what is stored as it was given is in the list of attributes
        told |= described(found.get("Attributes", ""))
    lacking = [f"parameter {name}" for name in sorted(wanted - told.keys())]
    lacking += [f"type of {name}" for name in sorted(wanted & told.keys()) if not told[name]]
    lacking += [] if found[""].strip() else ["summary"]
    if not inspect.isclass(function):
        given = inspect.signature(function).return_annotation
        is_told = (
            given in (None, "None", inspect.Signature.empty) or {"Returns", "Yields"} & found.keys()
        )
        lacking += [] if is_told else ["Returns"]
    return lacking


THINGS = public_things()
METHODS = public_methods()


@pytest.mark.parametrize("name", list(THINGS))
def test_a_public_name_says_in_full_what_it_takes_and_gives(name):
    thing = THINGS[name]
    is_free = thing in ANY_ARGUMENTS or (inspect.isclass(thing) and issubclass(thing, Exception))
    assert not missing(thing.__doc__, thing, set() if is_free else parameters(thing))


@pytest.mark.parametrize("name", list(METHODS))
def test_a_public_method_or_the_one_that_it_overrides_says_in_full_what_it_takes_and_gives(name):
    cls, key = METHODS[name]
    known = definitions(cls, key)
    if isinstance(known[-1], property | functools.cached_property):
        assert any(member.__doc__ for member in known)
        return
    own = getattr(cls, key)
    wanted = parameters(own) if inspect.isroutine(own) else set()
    lacking = [missing(function_of(each).__doc__, function_of(each), wanted) for each in known]
    assert min(lacking, key=len) == []


# they compute with what they are given, or take nothing
RAISE_NOTHING = {
    "Callback",
    "History",
    "OptimizerState",
    "Parameter",
    "TrainingState",
    "backends.available",
    "backends.dtype_name",
    "backends.names",
    "backends.own_settings",
    "backends.owner",
    "backends.with_own_settings",
    "distributed.Alone",
    "equations.Bound",
    "equations.cost",
    "equations.delta",
    "equations.output_delta",
    "equations.squared_norm",
    "equations.symbol",
    "show_backends",
    # they store what they are given, and check it in `fit`
    "IntervalDisplay",
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "MLPTransformer",
    "ReliabilityDisplay",
    "TabularClassifier",
    "TabularRegressor",
}
CHECKS = re.compile(r"\braise \w|\bcheck_\w+\(")


def may_raise(name: str) -> bool:
    thing = THINGS[name]
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    of_scikit_learn = name.startswith("model_selection.")  # its texts have no such section
    return not (is_error or of_scikit_learn or thing in ANY_ARGUMENTS or name in RAISE_NOTHING)


@pytest.mark.parametrize("name", [name for name in THINGS if may_raise(name)])
def test_what_checks_its_arguments_says_what_it_raises(name):
    assert "Raises" in sections(THINGS[name].__doc__)


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_in_which_something_is_checked_says_what_it_raises(name):
    known = [function_of(member) for member in definitions(*METHODS[name])]
    code = inspect.getsource(known[0]).replace(known[0].__doc__ or " ", "")
    says = any("Raises" in sections(function.__doc__) for function in known)
    assert says or not CHECKS.search(code)


def test_the_names_that_raise_nothing_are_public_and_say_nothing_of_it():
    known = RAISE_NOTHING & THINGS.keys()
    assert known == RAISE_NOTHING or not HAS_SCIKIT_LEARN
    assert not [name for name in known if "Raises" in sections(THINGS[name].__doc__)]


TITLES = ["", "Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "See Also", "Notes"]
TITLES += ["References", "Examples"]


def test_sections_have_the_titles_and_the_order_of_numpydoc():
    texts = {name: thing.__doc__ for name, thing in THINGS.items() if "model_selection" not in name}
    texts |= {name: function_of(definitions(*METHODS[name])[0]).__doc__ for name in METHODS}
    for name, text in texts.items():
        assert list(sections(text)) == [title for title in TITLES if title in sections(text)], name


@pytest.mark.parametrize("name", list(THINGS))
def test_a_public_name_has_an_example(name):
    assert ">>>" in sections(THINGS[name].__doc__).get("Examples", "")


def with_examples() -> dict[str, str]:
    texts = {name: inspect.cleandoc(thing.__doc__ or "") for name, thing in THINGS.items()}
    for name, (cls, key) in METHODS.items():
        text = inspect.cleandoc(function_of(definitions(cls, key)[0]).__doc__ or "")
        if text not in texts.values():  # what is inherited is run once
            texts[name] = text
    return {name: text for name, text in texts.items() if ">>>" in text}


EXAMPLES = with_examples()
LIBRARY = {  # that an example needs and does not import
    "distributed.mpi": "mpi4py.MPI",
    "distributed.torch": "torch",
    "pnn.MLPRegressor": "sklearn",
    "LossCurveDisplay.from_": "matplotlib",
    "as_frame=True": "pandas",
    "ProgressBar(": "tqdm",
}


def skip_without(library: str) -> None:
    try:
        importlib.import_module(library)
    except (ImportError, RuntimeError) as error:  # mpi4py without an MPI library gives the latter
        pytest.skip(f"{library} cannot be imported: {error}")


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_runs_as_it_would_in_a_new_interpreter(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], {"__name__": "__main__"}, name, None, 0)
    source = "".join(example.source for example in test.examples)
    for library in [*IMPORTED.findall(source), *(LIBRARY[use] for use in LIBRARY if use in source)]:
        skip_without(library)
    monkeypatch.setattr(registry, "_registered", {**registry._registered})
    report: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.DocTestRunner(optionflags=flags).run(test, out=report.append)
    assert not found.failed, "".join(report)


def test_optimizers_and_layers_show_their_parameters_and_defaults():
    adam = inspect.signature(pnn.AdamW)
    assert list(adam.parameters)[:2] == ["learning_rate", "beta_1"]
    assert adam.parameters["weight_decay"].default == 0.01
    assert list(inspect.signature(pnn.Embedding).parameters) == ["levels", "dim"]
