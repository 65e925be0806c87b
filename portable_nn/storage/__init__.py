"""The file format: documents of plain values and arrays in safetensors files, written atomically."""

from portable_nn.storage.document import Document, read_document, write_document

__all__ = ["Document", "read_document", "write_document"]
