"""Data out of core: what has `shape`, `dtype` and slices of rows, such as arrays of zarr, h5py and dask.

A store is asked for nothing but slices, ``store[a:b]``: that all of them have, and all do well.
"""

from portable_nn.stores.block_reader import BlockReader
from portable_nn.stores.columns import Columns
from portable_nn.stores.parquet import ParquetRows
from portable_nn.stores.stored_rows import StoredRows, is_store

__all__ = ["BlockReader", "Columns", "ParquetRows", "StoredRows", "is_store"]
