#!/usr/bin/env bash
# One would guess: where a file cannot be written to its end (a full disk, a limit of its size), safetensors' save_file
# raises OSError with its number, as Python's own writers do, so that `except OSError` catches it.
# What happens (safetensors 0.8.0, numpy 2.3.5): it raises SafetensorError, which is no OSError and carries the number in
# its text alone; the same class that says of a tensor that its dtype is unknown.
# Why it matters: code that takes every SafetensorError of a save for a fault of the tensors tells users of an unusual
# dtype when their disk is full, and code that waits for OSError lets it through. A converter has to tell the two apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import resource
import signal
from importlib.metadata import version

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

print("safetensors", version("safetensors"), "numpy", version("numpy"))
# A limit of the size of files stands for the full disk: writing beyond it fails with a number of the system's, too.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


def raised(write) -> Exception:
    try:
        write()
    except Exception as error:
        print(f"  {type(error).__name__}: {error}")
        return error
    raise SystemExit("nothing was raised")


def plain() -> None:
    with open("plain", "wb") as file:
        file.write(bytes(4_000_000))


print("Python's own writer:")
assert isinstance(raised(plain), OSError)
print("safetensors:")
error = raised(lambda: save_file({"weight": np.zeros(1_000_000, np.float32)}, "model.safetensors"))
assert isinstance(error, SafetensorError)
assert not isinstance(error, OSError)
assert "I/O error" in str(error)
PYTHON
echo "as described"
