"""Objects in the files of annotation tools: COCO, YOLO and LabelMe."""
