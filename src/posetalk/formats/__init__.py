"""Annotation files -> records: `read_people` for people, `read_detections` for a detector's boxes."""
