"""Runs over many machines: the images are cut into shards, Ray hands the shards to workers, the results are joined."""
