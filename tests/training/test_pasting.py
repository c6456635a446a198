"""Objects pasted from one frame into another, and uneven light over both."""

import cv2
import numpy as np
import pytest

from training.finetuning.augmentation import Augmentation, augment_look, uneven_light
from training.finetuning.pasting import MOST, paste_objects, whole_objects

GROUND, DONOR = 10, 200


def donor() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Object 3 of parts 5 (upper half) and 6 in the middle; 4 at the border, 7 tiny; every colour is its own."""
    instances, parts = np.zeros((96, 128), np.uint16), np.zeros((96, 128), np.uint16)
    instances[30:60, 40:80], instances[0:30, 0:30], instances[80:84, 100:104] = 3, 4, 7
    parts[30:45, 40:80], parts[45:60, 40:80], parts[0:30, 0:30], parts[80:84, 100:104] = 5, 6, 8, 9
    maps = {"instances": instances, "parts": parts, "depth": np.full((96, 128), 700, np.uint16)}
    return np.full((96, 128, 3), DONOR, np.uint8), maps


def frame() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    instances = np.zeros((96, 128), np.uint16)
    instances[10:90, 10:60] = 2
    maps = {"instances": instances, "parts": 2 * instances, "depth": np.full((96, 128), 900, np.uint16)}
    return np.full((96, 128, 3), GROUND, np.uint8), maps


def test_only_what_is_whole_and_neither_tiny_nor_huge_is_pasted():
    assert whole_objects(donor()[1]["instances"]).tolist() == [3]
    everywhere = np.ones((96, 128), np.uint16)
    everywhere[0] = everywhere[-1] = everywhere[:, 0] = everywhere[:, -1] = 0
    assert whole_objects(everywhere).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_what_is_pasted_shows_the_donors_pixels_and_has_an_id_of_its_own_and_no_depth(seed):
    rgb, maps = frame()
    mixed, found, donated = paste_objects(rgb, maps, *donor(), np.random.default_rng(seed))
    assert donated == {3: 3}  # the only object that is worth it, under the next free id
    ids, pasted = found["instances"], found["instances"] == 3
    inner = np.zeros_like(ids, bool)
    inner[3:-3, 3:-3] = [[pasted[y - 3 : y + 4, x - 3 : x + 4].all() for x in range(3, 125)] for y in range(3, 93)]
    assert (mixed[inner] >= DONOR - 1).all()
    assert mixed[ids == 0].max() < DONOR
    assert set(np.unique(found["parts"][pasted]).tolist()) <= {5 + 5, 5 + 6}  # the frame's part ids end with 4
    assert (found["depth"][pasted] == 0).all()
    for name, labels in maps.items():
        assert (found[name][~pasted] == labels[~pasted]).all()


@pytest.mark.parametrize("seed", range(5))
def test_even_a_boxs_edge_is_soft(seed):
    rgb, maps = frame()
    maps["instances"][:] = 0
    mixed, found, _ = paste_objects(rgb, maps, *donor(), np.random.default_rng(seed))
    pasted = (found["instances"] == 3).astype(np.uint8)
    inside = cv2.erode(pasted, np.ones((3, 3), np.uint8), borderValue=1)
    outside = cv2.dilate(pasted, np.ones((3, 3), np.uint8))
    rim = mixed[..., 0][(outside > 0) & (inside == 0)]
    assert ((rim > GROUND + 10) & (rim < DONOR - 5)).all()


def test_the_frame_itself_stays_as_it_was():
    rgb, maps = frame()
    paste_objects(rgb, maps, *donor(), np.random.default_rng(1))
    assert (rgb == GROUND).all()
    assert set(np.unique(maps["instances"])) == {0, 2}
    assert (maps["depth"] == 900).all()


def test_several_objects_come_at_once_and_never_more_than_allowed():
    instances = np.kron(np.arange(1, 13).reshape(3, 4), np.ones((32, 32), int)).astype(np.uint16)
    instances = np.pad(instances, 2)
    rgb, empty = np.zeros((*instances.shape, 3), np.uint8), np.zeros_like(instances)
    counts = []
    for seed in range(40):
        _, _, donated = paste_objects(
            rgb, {"instances": empty}, rgb, {"instances": instances}, np.random.default_rng(seed)
        )
        assert sorted(donated) == list(range(1, len(donated) + 1))
        assert len(set(donated.values())) == len(donated)
        counts.append(len(donated))
    assert (min(counts), max(counts)) == (1, MOST)


def test_ids_beyond_16_bits_are_not_pasted():
    rgb, maps = frame()
    maps["parts"][0, 0] = 65530
    _, found, donated = paste_objects(rgb, maps, *donor(), np.random.default_rng(0))
    assert donated == {}
    assert (found["instances"] == maps["instances"]).all()


def test_uneven_light_stays_in_bounds_and_differs_within_the_picture():
    lights = [uneven_light(96, 128, np.random.default_rng(seed)) for seed in range(30)]
    assert all(light.shape == (96, 128) and light.dtype == np.float32 for light in lights)
    assert min(light.min() for light in lights) > 0.07
    assert max(light.max() for light in lights) < 4.1
    assert np.median([np.ptp(light) for light in lights]) > 0.2


def test_shade_darkens_and_brightens_places_but_keeps_shape_and_dtype():
    grey = np.full((96, 128, 3), 100, np.uint8)
    plain = Augmentation(shade=0, grey=0, blur=0, noise=0, jpeg=0)
    shaded = augment_look(grey, Augmentation(shade=1, grey=0, blur=0, noise=0, jpeg=0), np.random.default_rng(3))
    assert shaded.shape == grey.shape
    assert shaded.dtype == np.uint8
    assert np.ptp(augment_look(grey, plain, np.random.default_rng(3))[..., 0]) == 0
    assert np.ptp(shaded[..., 0]) > 5
