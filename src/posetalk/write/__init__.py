"""Annotations -> conversations about bodies, true to the keypoints (LLaVA-Pose, arXiv 2506.21317)."""
