"""The parameters of an ensemble: its own, and those of its members, each defined once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def with_parameters_of(member: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator of a constructor whose last parameter, ``**of_member``, are those of `member`.

    scikit-learn, `help` and editors see all of them by name, with their defaults; all but the first are
    keywords.
    """
    theirs = list(inspect.signature(member).parameters.values())

    def decorate(init: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(init).parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {parameter.name for parameter in own}
        given = [p.replace(kind=p.KEYWORD_ONLY) for p in theirs if p.name not in names]
        signature = inspect.Signature([*own, *given])

        @functools.wraps(init)
        def constructor(self: Any, *arguments: Any, **named: Any) -> None:
            try:
                bound = signature.bind(self, *arguments, **named)
            except TypeError as error:
                raise TypeError(f"{type(self).__name__}: {error}") from None
            bound.apply_defaults()
            for name, value in list(bound.arguments.items())[1:]:
                setattr(self, name, value)  # unchanged, as scikit-learn requires

        constructor.__signature__ = signature  # type: ignore[attr-defined]
        return constructor

    return decorate
