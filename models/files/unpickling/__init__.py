"""Pickles read as data. The guarantee: nothing that a file says is ever executed.

Python's own unpickler imports what a pickle names and calls it, so opening a checkpoint of the usual kinds runs
whatever its author wrote. An allow-list laid over that machinery is only as good as the least of its entries (before
2.6, torch.load's own could be led to run code). Here there is no such machinery: `machine` interprets the stream's
instructions itself, and none of them imports, looks up an attribute, or calls. A name in the stream becomes a
`Global`, two strings. A call becomes, by a fixed table of names in `rebuilding`, a tensor, a container or a plain
value, made by functions of this package from checked arguments; every other call becomes an `Inert`, which remembers
what was written and does nothing. Names of Python's own library other than those of plain data (functions that start
programs or run text as code, say) are no business of a checkpoint: they end the reading with an error that tells them.

A file cannot take much more memory than its own size either: instructions are counted, copies are counted, archives
must not be compressed, and every size that a file declares is compared with the bytes that are there.

Of a TorchScript program only the tensors are read, which lie in it as in any archive; its code stays where it is.

`files` finds the streams and the tensors' bytes in the three formats: PyTorch's zip archives, its older streams, and
plain pickles.
"""

from .arrays import NumpyDtype, as_tensor, stands_for_tensor
from .files import PROGRAM, contents, is_program
from .machine import Global, Inert

__all__ = ["PROGRAM", "Global", "Inert", "NumpyDtype", "as_tensor", "contents", "is_program", "stands_for_tensor"]
