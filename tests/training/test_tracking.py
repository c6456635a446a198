"""Scores of lasting ids, the spoilt masks, and the track verb from shards to its table."""

import json

import numpy as np
import pytest

from saom_ros.instances import Instances
from tests.robot.tiny_bundle import color_blocks, write_tiny_bundle
from training.__main__ import main
from training.data.shards import ShardWriter
from training.simulators.base import Frame
from training.tracking.byte_track import ByteTracker
from training.tracking.verb import IdScores, SpoiltMasks, instances_of, score_path

TRUTH = np.zeros((40, 60), np.uint16)
TRUTH[5:25, 5:25] = 7
TRUTH[5:25, 35:55] = 9


def shown(**labels):
    """Instances that show true object 7 as label `a` and 9 as label `b`; 0 = not shown."""
    label_map = np.zeros_like(TRUTH)
    label_map[TRUTH == 7], label_map[TRUTH == 9] = labels["a"], labels["b"]
    return instances_of_labels(label_map)


def instances_of_labels(label_map):
    ids = np.unique(label_map[label_map > 0]).astype(np.int32)
    n = len(ids)
    return Instances(
        label_map,
        ids,
        np.ones(n, np.float32),
        np.zeros((n, 4), np.float32),
        np.zeros(n, np.int32),
        np.ones(n, np.int64),
    )


def score(*frames):
    return score_path((TRUTH, frame) for frame in frames)


def test_ids_that_stay_score_perfectly():
    scores = score(shown(a=1, b=2), shown(a=1, b=2))
    assert scores == IdScores(object_frames=4, tracked=4, switches=0, fragments=0, shown=4, identified=4)
    figures = scores.figures()
    assert (figures["switches_per_1000"], figures["tracked_percent"], figures["idf1_percent"]) == (0, 100, 100)


def test_a_new_id_is_a_switch_once():
    scores = score(shown(a=1, b=2), shown(a=1, b=3), shown(a=1, b=3))
    assert (scores.switches, scores.identified) == (1, 5)
    assert scores.figures()["switches_per_1000"] == pytest.approx(1000 / 6)


def test_exchanged_ids_are_two_switches():
    assert score(shown(a=1, b=2), shown(a=2, b=1)).switches == 2


def test_a_gap_is_a_fragment_and_no_switch_if_the_id_is_the_same_after_it():
    scores = score(shown(a=1, b=2), shown(a=1, b=0), shown(a=1, b=0), shown(a=1, b=2))
    assert (scores.fragments, scores.switches, scores.tracked) == (1, 0, 6)


def test_a_switch_over_a_gap_counts():
    scores = score(shown(a=1, b=2), shown(a=1, b=0), shown(a=1, b=3))
    assert (scores.fragments, scores.switches) == (1, 1)


def test_an_object_that_was_out_of_view_is_no_fragment():
    gone = np.where(TRUTH == 9, 0, TRUTH)
    path = [(TRUTH, shown(a=1, b=2)), (gone, shown(a=1, b=0)), (TRUTH, shown(a=1, b=2))]
    assert score_path(path).fragments == 0


def test_half_an_object_is_tracked_less_is_not():
    half, less = np.zeros_like(TRUTH), np.zeros_like(TRUTH)
    half[5:15, 5:25], less[5:14, 5:25] = 1, 1
    scores = score(instances_of_labels(half), instances_of_labels(less))
    assert scores.tracked == 1


def test_specks_do_not_count():
    speck = np.zeros((384, 512), np.uint16)
    speck[0, :99] = 1
    assert score_path([(speck, Instances.empty(384, 512))]).object_frames == 0
    speck[0, 99] = 1
    assert score_path([(speck, Instances.empty(384, 512))]).object_frames == 1


def test_figures_without_objects_do_not_exist():
    assert all(np.isnan(value) for value in IdScores().figures().values())


def room(frames):
    """Instance maps of blocks that drift to the right."""
    _, truth = color_blocks(192, 256)
    return [np.roll(truth, 2 * k, axis=1).astype(np.uint16) for k in range(frames)]


def test_spoilt_masks_are_those_of_their_seed():
    def labels(seed):
        spoil = SpoiltMasks([seed])
        return np.stack([spoil(truth).label_map for truth in room(4)])

    assert (labels(1) == labels(1)).all()
    assert (labels(1) != labels(2)).any()


def test_spoilt_masks_miss_split_and_fray_but_stay_near_the_truth():
    spoil, maps = SpoiltMasks([0]), room(60)
    spoilt = [spoil(truth) for truth in maps]
    counts = {len(instances) - len(np.unique(truth[truth > 0])) for instances, truth in zip(spoilt, maps, strict=True)}
    assert min(counts) < 0 < max(counts), "objects are missed, and others are in two pieces"
    scores = score_path(zip(maps, spoilt, strict=True))
    assert 0.7 < scores.tracked / scores.object_frames < 0.99
    assert any(((s.label_map > 0) & (t == 0)).any() for s, t in zip(spoilt, maps, strict=True)), "borders are ragged"


def test_instances_of_a_label_map_are_sorted_by_score_and_measured():
    instances = instances_of(TRUTH, {7: 0.4, 9: 0.8})
    assert instances.ids.tolist() == [1, 2]
    assert instances.scores.tolist() == pytest.approx([0.8, 0.4])
    assert instances.boxes.tolist() == [[35, 5, 55, 25], [5, 5, 25, 25]]
    assert instances.areas.tolist() == [400, 400]
    assert (instances.label_map == np.select([TRUTH == 9, TRUTH == 7], [1, 2])).all()


def moving_boxes(step, scores=(0.9, 0.9)):
    truth = np.zeros((60, 200), np.uint16)
    truth[10:30, 10 + 4 * step : 30 + 4 * step], truth[10:30, 150:170] = 1, 2
    return instances_of(truth, {1: scores[0], 2: scores[1] - 0.01})


def test_byte_track_follows_boxes_through_a_gap_by_their_velocity():
    tracker = ByteTracker()
    for step in range(10):
        ids = tracker.update(moving_boxes(step)).ids.tolist()
    assert ids == [1, 2]
    for _ in range(6):
        assert len(tracker.update(Instances.empty(60, 200))) == 0
    # 28 px on: the box does not touch its last place any more.
    assert tracker.update(moving_boxes(16)).ids.tolist() == [1, 2]


def test_byte_track_keeps_a_track_by_a_low_score_but_begins_none():
    tracker = ByteTracker()
    tracker.update(moving_boxes(0, scores=(0.9, 0.3)))
    result = tracker.update(moving_boxes(1, scores=(0.3, 0.3)))
    assert result.ids.tolist() == [1]
    assert set(np.unique(result.label_map)) == {0, 1}


def test_byte_track_shows_a_later_track_from_its_second_frame_on():
    tracker = ByteTracker()
    tracker.update(Instances.empty(60, 200))
    assert [len(tracker.update(moving_boxes(step))) for step in (0, 1)] == [0, 2]


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "paths"
    folder.mkdir()
    rgb, _ = color_blocks(192, 256)
    meta = {"schema": 1, "objects": []}
    for path in range(2):
        with ShardWriter(folder / f"blocks-{path:06d}.tar") as writer:
            for k, truth in enumerate(room(6)):
                writer.add(f"{k:04d}", Frame(np.roll(rgb, 2 * k, axis=1), truth, None, None, meta))
    return folder


def test_the_verb_compares_both_trackers_on_three_kinds_of_masks(paths, tmp_path, capsys):
    out = tmp_path / "figures.json"
    bundle = write_tiny_bundle(tmp_path / "bundle")
    assert main(["track", "--data", str(paths), "--model", str(bundle), "--every", "1", "3", "--json", str(out)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3 * 2 * 2
    assert len({len(line) for line in lines}) == 1, "columns are aligned"
    rows = json.loads(out.read_text())
    perfect = next(row for row in rows if row["masks"] == "tiny" and row["tracker"].startswith("masks"))
    assert (perfect["hz"], perfect["object_frames"], perfect["tracked"], perfect["switches"]) == (30, 48, 48, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "0"], "--every is 0; it must be at least 1"),
        (["--render", "2"], "not empty; give a new folder"),
    ],
)
def test_mistakes_are_named(paths, capsys, arguments, message):
    assert main(["track", "--data", str(paths), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_paths_are_rendered_where_asked(tmp_path, capsys):
    folder = tmp_path / "rendered"
    size = ["--width", "96", "--height", "72"]
    arguments = ["--render", "1", "--frames", "2", "--split", "val", *size, "--no-model", "--every", "1"]
    assert main(["track", "--data", str(folder), *arguments]) == 0
    assert [path.name for path in folder.iterdir()] == ["rooms-000000.tar"]
    assert "spoilt truth" in capsys.readouterr().out
