"""Folders of WebDataset shards: reading, writing, checking, looking at them, and exchange with other formats."""
