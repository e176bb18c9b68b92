"""Names of Python's library that settings beside the weights are made of, as every version of pickle spells them."""

from __future__ import annotations

import sys
from typing import Final

PYTHON_LIBRARY: Final = sys.stdlib_module_names | {
    *("__builtin__", "copy_reg", "exceptions", "commands", "cPickle", "popen2", "urllib2", "xmlrpclib"),
    *("asyncore", "asynchat", "distutils", "imp", "smtpd", "crypt", "nis", "pipes", "telnetlib", "cgi", "lib2to3"),
}
"""Top-level modules of Python's library, also of versions other than the running one."""

_FUNCTIONS: Final = (
    *("abs", "all", "any", "bin", "callable", "chr", "divmod", "filter", "format", "hash", "hex", "id", "isinstance"),
    *("issubclass", "iter", "len", "map", "max", "min", "next", "oct", "ord", "pow", "print", "repr", "round"),
    *("sorted", "sum", "zip"),
)
_VALUES: Final = ("Ellipsis", "NotImplemented")
_CLASSES: Final = (
    *("bool", "bytearray", "bytes", "classmethod", "complex", "dict", "enumerate", "float", "frozenset", "int", "list"),
    *("memoryview", "object", "property", "range", "reversed", "set", "slice", "staticmethod", "str", "super", "tuple"),
    "type",
)
_BUILTINS: Final = (*_FUNCTIONS, *_VALUES, *_CLASSES)
"""Those of `builtins` that reach no attribute, file, program or code by themselves."""

_PATHS: Final = ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
_OPERATORS: Final = (
    *("add", "and_", "eq", "floordiv", "ge", "getitem", "gt", "itemgetter", "le", "lt", "matmul", "mod", "mul", "ne"),
    *("neg", "not_", "or_", "pow", "sub", "truediv", "xor"),
)
_COUNTERS: Final = ("accumulate", "chain", "count", "cycle", "islice", "product", "repeat", "zip_longest")

PLAIN: Final[dict[str, tuple[str, ...]]] = {
    # Protocols 0 to 2 spell names as Python 2 does: range is its xrange, str its unicode.
    "__builtin__": (*_BUILTINS, "basestring", "long", "reduce", "unichr", "unicode", "xrange"),
    "_functools": ("partial", "reduce"),
    "_operator": _OPERATORS,
    "argparse": ("Namespace",),
    "array": ("_array_reconstructor", "array"),
    "builtins": _BUILTINS,
    "collections": ("ChainMap", "UserDict", "UserList", "UserString", "deque", "namedtuple"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Context", "Decimal"),
    "fractions": ("Fraction",),
    "functools": ("partial", "reduce"),
    "ipaddress": ("IPv4Address", "IPv4Network", "IPv6Address", "IPv6Network"),
    "itertools": (*_COUNTERS, "ifilter", "imap", "izip", "izip_longest"),
    "operator": _OPERATORS,
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "random": ("Random",),
    "re": ("Pattern", "RegexFlag", "_compile", "compile"),
    "string": ("Template",),
    "time": ("struct_time",),
    "types": ("EllipsisType", "GenericAlias", "MappingProxyType", "NoneType", "SimpleNamespace", "UnionType"),
    "uuid": ("SafeUUID", "UUID"),
    "zoneinfo": ("ZoneInfo", "ZoneInfo._unpickle"),
    "UserDict": ("IterableUserDict", "UserDict"),
    "UserList": ("UserList",),
    "UserString": ("UserString",),
}
"""These stay inert: nothing looks them up."""

WHOLE: Final = ("cmath", "exceptions", "math", "numbers", "typing")
"""Modules of which every name is plain."""

_ERRORS: Final = ("Error", "Exception", "Exit", "Group", "Interrupt", "Iteration", "Warning")


def is_plain(module: str, name: str) -> bool:
    """Whether a name of Python's library is one that settings are made of."""
    if module in WHOLE and "." not in name:
        return True
    # Classes of errors, whatever version has them: no function of `builtins` is called like one.
    return name in PLAIN.get(module, ()) or (module == "builtins" and name.isidentifier() and name.endswith(_ERRORS))
