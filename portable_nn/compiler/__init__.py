"""Makes training steps fast: each is traced once and compiled for a target; no equation is copied.

`trace` records what a step does as a `graph`; `plan` fuses its operations (`instructions`), puts them in
order (`ordering`) and gives each the memory that it writes to (`memory`). The targets are `numpy`
(functions of Python, with loops by numba), `cuda` (kernels, replayed as graphs), `sources` (files of C
and JavaScript, from a function of `rows`) and `javascript` (whole steps, for arrays of any sizes); none
imports another. What the last two write is said in the `languages`.
"""
