"""People through time: the frames of a video, the same person from frame to frame, smooth places."""
