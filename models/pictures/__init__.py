"""Pictures, masks, boxes and objects as tensors; no networks."""
