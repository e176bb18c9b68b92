"""Starts a ComfyUI checkout inside this process, without its page or port.

Loaded by its file, before the rest of the pack: the pack asks at import whether ComfyUI is there. It imports nothing
of the pack for that reason. One ComfyUI per process, and the process must be one of ComfyUI's own Python.
"""

# ComfyUI's own modules: nowhere on the path until it runs this file.
# pyright: reportMissingImports=false

import asyncio
import sys
from pathlib import Path

import torch


def boot(root: Path, input_folder: Path | None = None, output_folder: Path | None = None) -> None:
    """Imports ComfyUI from `root` with its custom nodes, and sets its folders (previews go to `temp` below the output).

    FileNotFoundError if there is no ComfyUI at `root`.
    """
    root = root.expanduser().resolve()
    if not (root / "comfy" / "model_management.py").is_file():
        raise FileNotFoundError(f"--comfyui {root}: there is no ComfyUI checkout (no comfy/model_management.py).")
    sys.argv = [str(root / "main.py"), "--disable-api-nodes", *([] if _has_accelerator() else ["--cpu"])]
    sys.path.insert(0, str(root))
    # ComfyUI reads its options at the first import of comfy, and only once they are enabled.
    import comfy.options

    comfy.options.enable_args_parsing()
    # Before `nodes`: that puts <root>/comfy on sys.path, whose utils.py would hide this package.
    import utils.extra_config

    if (root / "extra_model_paths.yaml").is_file():
        utils.extra_config.load_extra_path_config(str(root / "extra_model_paths.yaml"))
    import folder_paths

    if input_folder:
        folder_paths.set_input_directory(str(input_folder.resolve()))
    if output_folder:
        folder_paths.set_output_directory(str(output_folder.resolve()))
        folder_paths.set_temp_directory(str(output_folder.resolve() / "temp"))
    import server

    import nodes

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)  # custom nodes expect PromptServer.instance, to add their routes to
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=True, init_api_nodes=False))


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available()
