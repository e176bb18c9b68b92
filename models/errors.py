"""The pack's few kinds of failure. Each message names the input, what was found, and what to do.

`host/` imports it too: it imports nothing itself.
"""

# As torch says of the main memory, and of a device, where its error is not of a kind of its own.
MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
SIZES = ("Storage size calculation overflowed", "numel: integer multi")
"""Of more values than it can count."""

LONGEST_LINE = 2000
"""Characters of a message's line."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory, the main one or a device's, did not suffice, as Python and torch say it."""
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(said in str(error) for said in MEMORY)


def is_too_large(error: BaseException) -> bool:
    """The same, or that nothing could ever be as large: of a file, that is damage; of what is asked for, the same."""
    return is_out_of_memory(error) or any(said in str(error) for said in SIZES)


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
