"""Keypoints -> what is true of a pose, in three values; words -> claims; whether they agree."""
