"""Exchange of shards with the formats of other tools: COCO both ways; label maps, BOP and Replicator coming in."""
