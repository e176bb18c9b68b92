"""The pack's menus. Files of nodes begin with the name of theirs."""

from typing import Final

ADAPT: Final = "Trilemma/Adapt"
DETECT: Final = "Trilemma/Detect"
FILES: Final = "Trilemma/Files"
GENERATE: Final = "Trilemma/Generate"
IMAGES: Final = "Trilemma/Images"
INPAINT: Final = "Trilemma/Inpaint"
MASKS: Final = "Trilemma/Masks"
SCORE: Final = "Trilemma/Score"
SEGMENT: Final = "Trilemma/Segment"
