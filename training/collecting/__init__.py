"""From a simulator to a folder of shards: worker processes, resuming, a cluster, camera paths."""
