"""What a user types into the page's search finds the nodes that it is for, by their names and aliases."""

import pytest
from trilemma.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

SEARCHED = {
    "sam": "Segment",
    "lpips": "CompareImages",
    "mask": "ObjectsToMasks",
    "remove background": "ObjectsToMasks",
    "remove object": "InpaintByText",
    "yolo": "DetectByText",
    "sdxl inpaint": "LoadInpainter",
    "points": "Segment",
    "detect": "DetectByText",
    "bbox": "DetectByText",
    "fid": "Score",
    "text to image": "SampleImages",
    "stylegan": "LoadGenerator",
    "prompt": "Condition",
    "lama": "LoadInpainter",
    "ranking": "Leaderboard",
}


@pytest.mark.parametrize(("words", "node"), SEARCHED.items())
def test_words_find_their_node(words, node):
    node = f"Trilemma{node}"
    texts = [NODE_DISPLAY_NAME_MAPPINGS[node], *NODE_CLASS_MAPPINGS[node].SEARCH_ALIASES]
    assert any(words in text.lower() for text in texts)
