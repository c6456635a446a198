"""From shards to a checkpoint: configuration, batches, losses, the Lightning module."""
