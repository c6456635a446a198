"""Frames of AI2-THOR: iTHOR's 120 rooms and ProcTHOR houses, in the same shards as our own rooms.

The client library's Controller runs in a process of its own (`child.py`), watched and restarted by `process.py`.
"""
