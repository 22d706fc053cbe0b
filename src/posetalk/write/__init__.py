"""Writing instruction data about poses from annotations, true to the keypoints (LLaVA-Pose, arXiv 2506.21317)."""
