"""The table of backends: which are known, which work here, and why the others do not."""

from __future__ import annotations

from portable_nn.backends.registry import backend_class, failure, get, names

HEADINGS = ("name", "version", "device", "works", "why not")


def rows() -> list[tuple[str, str, str, str, str]]:
    """One row per known backend: name, version, default device, "yes" or "no", the reason."""
    table = []
    for name in names():
        reason, version, device = failure(name), "", ""
        if reason is None or not reason.endswith("not installed"):
            version = _version(name)
        if reason is None:
            try:
                device = get(name).device_name()
            except (Exception, SystemExit) as error:  # the table itself never fails
                reason = f"{type(error).__name__}: {error}"
        table.append((name, version, device, "yes" if reason is None else "no", reason or ""))
    return table


def _version(name: str) -> str:
    try:
        return backend_class(name).version()
    except (Exception, SystemExit):  # its module cannot be imported: the row says why
        return ""


def show_backends() -> None:
    """Print a table of the known backends: name, version, device, whether it works, and if not, why.

    ``python -m portable_nn`` prints the same.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.show_backends()
    name              version  device  works  why not
    ...
    numpy             2...     cpu     yes
    ...
    """
    table = [HEADINGS, *rows()]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
