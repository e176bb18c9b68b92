"""The pack's few kinds of failure. Each message names the input, what was found, and what to do.

`host/` imports it too: it imports nothing itself.
"""

# As torch says of the main memory; of a device it has a kind of error of its own.
MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "numel: integer multi",
)

LONGEST_LINE = 2000
"""Characters of a message's line."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the main memory did not suffice, as Python and torch say it."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in MEMORY)


def no_memory(said: str) -> str:
    """What a user is told then. said: by the system."""
    return f"memory: it does not suffice ({said[-80:] or 'MemoryError'}); take fewer or smaller images."


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"


class TrilemmaError(Exception):
    """Base of every error that the pack raises by itself."""

    # ComfyUI shows an error's module before its class, and names our modules by the folder that they lie in: the user
    # would read a path before the sentence. Only of Python's own classes does it leave the module out.
    __module__ = "builtins"

    def __str__(self) -> str:
        """The message; of a line that repeats a text longer than anybody reads, both ends."""
        return "\n".join(map(_shortened, super().__str__().split("\n")))

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__module__ = TrilemmaError.__module__


class BadInput(TrilemmaError, ValueError):
    """A value that the user can correct: an image, a box, a prompt, a number."""


class BadCheckpoint(TrilemmaError):
    """A file that is broken, of another architecture, or that does not fit the one it claims."""


class MissingFile(TrilemmaError, FileNotFoundError):
    """A file that the user has to provide; the message says which, where from, and into which folder."""


class CannotDo(TrilemmaError):
    """A request that is well formed but that this model or this host cannot serve."""


class ScoreMissed(TrilemmaError):
    """A score that misses the threshold set for it, or that could not be taken."""


class WorkerLost(TrilemmaError):
    """A worker that did not finish what it was given; another one, or the same one later, can."""
