"""Annotation files -> records: `read_people` for people, `read_boxes` for a detector's boxes."""
