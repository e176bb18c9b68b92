"""How much memory a Grounding DINO takes while it looks at pictures."""
from __future__ import annotations

def activation_bytes(config, batch_size: int, height: int, width: int) -> int:
    return 0
