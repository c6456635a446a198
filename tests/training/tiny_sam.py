"""A SAM of the separate kind that trains in a second, and frames of two-part objects for it."""

from pathlib import Path

import numpy as np

from tests.training.toy_frames import toy_frame
from training.data.shards import ShardWriter

TINY_SAM = {"encoder_channels": [16, 16, 16, 16], "image_size": 64, "decoder": {"dim": 32, "mlp_dim": 64, "heads": 2}}


def write_part_shards(folder: Path, frames: int, seed: int, depth: int = 0) -> Path:
    """Toy frames of classes Mug and Unknown, whose objects have an upper and a lower part; with ``depth`` mm, sloping
    from there, or without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with ShardWriter(folder / "toy-000000.tar") as writer:
        for index in range(frames):
            frame = toy_frame(random)
            rows = np.arange(frame.instances.shape[0])[:, None]
            frame.parts = np.zeros_like(frame.instances)
            for label in np.unique(frame.instances[frame.instances > 0]):
                mask = frame.instances == label
                lower = rows > np.median(np.nonzero(mask)[0])
                frame.parts[mask & ~lower], frame.parts[mask & lower] = 2 * label, 2 * label + 1
            if depth:
                frame.depth = np.broadcast_to(depth + rows, frame.instances.shape).astype(np.uint16)
            for entry in frame.meta["objects"]:
                entry["class"] = "Mug" if entry["id"] % 2 else "Unknown"
            writer.add(f"{index:06d}", frame)
    return folder
