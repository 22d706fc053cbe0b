"""People in a picture: where they are, before anybody's keypoints are asked for."""
