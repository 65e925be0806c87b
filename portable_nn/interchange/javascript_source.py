"""A model as an ES module."""

from __future__ import annotations

from portable_nn.compiler.languages import JavaScript
from portable_nn.compiler.sources import statements_of
from portable_nn.interchange.models import OUTPUTS, Model
from portable_nn.interchange.text import js_value
from portable_nn.version import __version__

NUMBER = '(v) => (typeof v === "number" ? v : NaN)'  # as a number null would be 0, and true 1


def javascript_source(model: Model) -> str:
    """The text of the module.

    Raises UntraceableError for an activation that JavaScript has no code for.
    """
    language = JavaScript()
    array = language.array_of(model.dtype)
    computed = statements_of(*model.trace(), language)
    two = ["  out[1] = out[0];", "  out[0] = 1 - out[1];"] if model.has_one_probability else []
    lines = [
        *comment(model, array),
        f"export const inputs = {model.sizes[0]};",
        f"export const outputs = {model.n_outputs};",
        *texts(model),
        "",
        *computed.helpers,
        "",
        *computed.tables,
        *computed.buffers,
        "",
        "export function predict(row) {",
        "  if (row.length !== inputs) {",
        "    throw new RangeError(`a row of ${row.length} numbers was given; accepted: ${inputs}`);",
        "  }",
        f"  const x = row instanceof {array} ? row : {array}.from(row, {NUMBER});",
        f"  const out = new {array}(outputs);",
        *(f"  {line}" for line in computed.body),
        *two,
        "  return out;",
        "}",
        *classify(model),
    ]
    return "\n".join(lines) + "\n"


def comment(model: Model, array: str) -> list[str]:
    """What the module is and how it is used."""
    hidden = "; ".join(f"{n}, {js_value(text)}" for n, text in model.summary)
    names = ["predict"] + (["classify"] if model.classes is not None else [])
    lines = [
        f"{model.sizes[0]} inputs; layers {hidden}. Written by portable_nn {__version__}.",
        "",
        f'  import {{ {", ".join(names)} }} from "./FILE.mjs";',
        f"  predict(row)   {OUTPUTS[model.task]}, a new {array}; row: an array of finite numbers",
    ]
    lines += [f"  row[{column}] is a code, 0 to {n - 1}: others give NaN" for column, n in model.levels]
    if model.task == "multilabel":
        lines.append("  classify(row)   1 for each label that the row has, else 0")
    elif model.classes is not None:
        lines.append("  classify(row)   the most probable of `classes`")
    return ["/*", *(f" * {line}".rstrip() for line in lines), " */"]


def texts(model: Model) -> list[str]:
    """The labels and the names of the inputs."""
    lines = []
    if model.feature_names is not None:
        lines.append(f"export const features = [{', '.join(map(js_value, model.feature_names))}];")
    if model.classes is not None:
        lines.append(f"export const classes = [{', '.join(map(js_value, model.classes.tolist()))}];")
    return lines


def classify(model: Model) -> list[str]:
    """The function that gives labels."""
    if model.classes is None:
        return []
    if model.task == "multilabel":
        first = ".subarray(1)" if model.has_one_probability else ""
        rest = [f"  return Array.from(predict(row){first}, (p) => (p > 0.5 ? 1 : 0));"]
    elif model.task == "binary":
        rest = ["  return classes[predict(row)[1] > 0.5 ? classes.length - 1 : 0];"]
    else:
        rest = ["  const out = predict(row);", "  return classes[out.indexOf(Math.max(...out))];"]
    return ["", "export function classify(row) {", *rest, "}"]
