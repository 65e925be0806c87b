"""A model as a file of C99."""

from __future__ import annotations

import re
from collections.abc import Sequence

from portable_nn.compiler.languages import C99, called
from portable_nn.compiler.sources import Statements, statements_of
from portable_nn.interchange.models import OUTPUTS, Model
from portable_nn.interchange.text import c_string
from portable_nn.version import __version__

STATIC = re.compile(r"static (?:const )?\w+ (\w+)")


def c_source(model: Model, name: str) -> str:
    """The text of the file; all names outside functions begin with `name`.

    Raises UntraceableError for an activation that C has no code for.
    """
    language = C99()
    kind, NAME = language.type_of(model.dtype), name.upper()
    computed = with_prefix(statements_of(*model.trace(), language), name)
    lines = [
        *comment(model, name, kind),
        f"#ifndef {NAME}_DECLARED",
        f"#define {NAME}_DECLARED",
        "",
        f"#define {NAME}_INPUTS {model.sizes[0]}",
        f"#define {NAME}_OUTPUTS {model.n_outputs}",
        *sizes_of_tables(model, NAME),
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        *declarations(model, name, kind),
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif",
        "",
        f"#ifndef {NAME}_DECLARATIONS",
        "",
        "#include <math.h>",
        "#include <stdbool.h>",
        "#include <stddef.h>",
        "",
        *computed.tables,
        "",
        *tables(model, name),
        *computed.helpers,
        *predict(model, name, kind, computed),
        *decide(model, name, kind),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def with_prefix(computed: Statements, name: str) -> Statements:
    """The statements with `name` before the names of tables and helpers.

    A program may include several files, whose tables are all named W1, b1, ...
    """
    found = map(STATIC.match, (*computed.tables, *computed.helpers))
    statics = {one[1] for one in found if one is not None}

    def prefixed(line: str) -> str:
        return re.sub(r"\w+", lambda m: f"{name}_{m[0]}" if m[0] in statics else m[0], line)

    tables = [prefixed(line) if STATIC.match(line) else line for line in computed.tables]
    body, helpers = map(prefixed, computed.body), map(prefixed, computed.helpers)
    return Statements(tables, computed.buffers, [*body], [*helpers])


def comment(model: Model, name: str, kind: str) -> list[str]:
    """What the file is and how it is used."""
    NAME = name.upper()
    hidden = "; ".join(f"{n}, {c_string(text)}" for n, text in model.summary)
    lines = [
        f"{name}: {model.sizes[0]} inputs; layers {hidden}. Written by portable_nn {__version__}.",
        "",
        f"  {kind} out[{NAME}_OUTPUTS];",
        f"  {name}_predict(x, out);   {OUTPUTS[model.task]}; x: {NAME}_INPUTS finite numbers ({kind})",
    ]
    lines += [f"  x[{column}] is a code, 0 to {n - 1}: others give NaN" for column, n in model.levels]
    if model.task in ("binary", "multiclass"):
        lines.append(f"  {name}_classes[{name}_class(x)]   the most probable class")
    if model.task == "multilabel":
        lines.append(f"  {name}_labels(x, labels);   1 for each label that the row has, else 0")
    lines += [
        "",
        "C99 without other files or libraries; link with -lm. It allocates nothing, and keeps",
        "nothing between calls: threads may call it at once. `x` and `out` must not overlap.",
        f'Elsewhere, "#define {NAME}_DECLARATIONS" and "#include" this file to have its declarations.',
    ]
    if model.feature_names is not None:
        lines += [
            "",
            "Inputs:",
            *(f"  {i} {c_string(text)}" for i, text in enumerate(model.feature_names)),
        ]
    if model.classes is not None:
        lines += ["", "Classes:", *(f"  {i} {c_string(text)}" for i, text in enumerate(labels(model)))]
    return ["/*", *(f" * {line}".rstrip() for line in lines), " */"]


def labels(model: Model) -> list[str]:
    """The labels as text."""
    return [] if model.classes is None else [str(label) for label in model.classes.tolist()]


def named_tables(model: Model) -> dict[str, Sequence[str]]:
    """The tables of texts."""
    found: dict[str, Sequence[str]] = {}
    if model.classes is not None:
        found["classes"] = labels(model)
    if model.feature_names is not None:
        found["features"] = model.feature_names
    return found


def sizes_of_tables(model: Model, NAME: str) -> list[str]:
    """How many classes there are."""
    return [] if model.classes is None else [f"#define {NAME}_CLASSES {len(model.classes)}"]


def declarations(model: Model, name: str, kind: str) -> list[str]:
    """What other files may use."""
    lines = [f"void {name}_predict(const {kind} *x, {kind} *out);"]
    if model.task in ("binary", "multiclass"):
        lines.append(f"int {name}_class(const {kind} *x);")
    if model.task == "multilabel":
        lines.append(f"void {name}_labels(const {kind} *x, unsigned char *labels);")
    for table, texts in named_tables(model).items():
        lines.append(f"extern const char *const {name}_{table}[{len(texts)}];")
    return lines


def tables(model: Model, name: str) -> list[str]:
    """The texts."""
    lines = []
    for table, texts in named_tables(model).items():
        lines += [f"const char *const {name}_{table}[{len(texts)}] = {{"]
        lines += [*(f"  {c_string(text)}," for text in texts), "};", ""]
    return lines


def predict(model: Model, name: str, kind: str, computed: Statements) -> list[str]:
    """The function of a row."""
    body = [*computed.buffers, *computed.body]
    if not called(["x"], body):
        body.append("(void)x;")
    if model.has_one_probability:
        body += ["out[1] = out[0];", "out[0] = 1 - out[1];"]
    return [
        f"void {name}_predict(const {kind} *x, {kind} *out)",
        "{",
        *(f"  {line}" for line in body),
        "}",
    ]


def decide(model: Model, name: str, kind: str) -> list[str]:
    """The functions that give labels."""
    NAME = name.upper()
    start = [f"  {kind} out[{NAME}_OUTPUTS];", f"  {name}_predict(x, out);"]
    if model.task == "multilabel":
        first = 1 if model.has_one_probability else 0
        n = f"{NAME}_OUTPUTS - {first}" if first else f"{NAME}_OUTPUTS"
        at = f"out[i + {first}]" if first else "out[i]"
        return [
            "",
            f"void {name}_labels(const {kind} *x, unsigned char *labels)",
            "{",
            *start,
            f"  for (size_t i = 0; i < {n}; i++) labels[i] = {at} > {half(kind)};",
            "}",
        ]
    if model.task == "binary":
        rest = [f"  return out[1] > {half(kind)} ? {NAME}_CLASSES - 1 : 0;"]
    elif model.task == "multiclass":
        rest = [
            "  int best = 0;",
            f"  for (int i = 1; i < {NAME}_OUTPUTS; i++) if (out[i] > out[best]) best = i;",
            "  return best;",
        ]
    else:
        return []
    return ["", f"int {name}_class(const {kind} *x)", "{", *start, *rest, "}"]


def half(kind: str) -> str:
    """The number that a probability has to exceed."""
    return "0.5f" if kind == "float" else "0.5"
