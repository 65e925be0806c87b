"""Makes training steps fast: each is traced once and compiled for a target; no equation is copied.

`trace` records what a step does as a `graph`; `plan` fuses its operations (`instructions`), puts them in
order (`ordering`) and gives each the memory that it writes to (`memory`). The targets are `numpy`
(functions of Python, with loops by numba), `cuda` (kernels, replayed as graphs) and `sources` (files of
C and JavaScript, from a function of `rows`); none imports another.
"""
