"""The golden pair: what agrees with it, and hostile files that claim to be one."""

import io
import re
import zipfile

import numpy as np
import pytest
from golden_bundle import list_file, write_golden_bundle

from saom_ros.bundle import load_config
from saom_ros.errors import BundleError
from saom_ros.golden import Agreement, compare, load_golden, mask_iou


@pytest.fixture
def bundle(tmp_path):
    return write_golden_bundle(tmp_path / "tiny")


@pytest.fixture
def outputs(bundle):
    return load_golden(bundle, load_config(bundle))[1]


def changed(outputs, name, row, value):
    copy = {key: array.copy() for key, array in outputs.items()}
    copy[name][row] = value
    return copy


def test_the_pair_is_read_whole(bundle):
    inputs, outputs = load_golden(bundle, load_config(bundle))
    assert inputs["image"].shape == (1, 96, 128, 3)
    assert (outputs["scores"] > 0).sum() == 4


def test_equal_outputs_agree(outputs):
    assert compare(outputs, outputs) == Agreement(1.0, 1.0, 0.0)
    assert compare(outputs, outputs).problem == ""


def test_the_order_of_the_rows_does_not_matter(outputs):
    assert compare(outputs, {name: array[::-1] for name, array in outputs.items()}) == Agreement(1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "row", "value", "problem"),
    [
        ("masks", 0, 0, "mean mask IoU 0.750 with the golden outputs, at least 0.98 is due"),
        ("scores", 0, 0.0, "mean mask IoU 0.750"),
        ("scores", 1, np.nan, "mean mask IoU 0.750"),
        ("scores", 1, 0.1, "a score differs by 0.5.* from the golden one, 0.02 may be"),
        ("boxes", 2, 0.0, "mean box IoU 0.750 with the golden outputs, at least 0.9 is due"),
        ("boxes", 2, np.nan, "mean box IoU nan"),
    ],
)
def test_a_wrong_output_is_told(outputs, name, row, value, problem):
    assert re.match(problem, compare(outputs, changed(outputs, name, row, value)).problem)


def test_a_surplus_mask_counts_like_a_missing_one(outputs):
    fewer = changed(outputs, "scores", 3, 0.0)
    assert compare(fewer, outputs).mask_iou == compare(outputs, fewer).mask_iou == 0.75


def test_an_empty_answer_agrees_with_an_empty_one_only(outputs):
    empty = outputs | {"scores": np.zeros_like(outputs["scores"])}
    assert compare(empty, empty).problem == ""
    assert compare(outputs, empty).problem
    assert compare(empty, outputs).problem


def test_iou_of_masks():
    full, half = np.full((2, 4), 255, np.uint8), np.array([[255] * 4, [0] * 4], np.uint8)
    assert mask_iou(np.stack([full, half]), np.stack([half, 0 * half])).tolist() == [[0.5, 0.0], [1.0, 0.0]]


def test_no_mask_has_no_iou():
    masks = np.zeros((2, 3, 4), np.uint8)
    assert mask_iou(masks, masks[:0]).shape == (2, 0)
    assert mask_iou(masks[:0], masks).shape == (0, 2)


def replace_array(bundle, name, content):
    """Write another golden.npz in which one array's file has that content."""
    with zipfile.ZipFile(bundle / "golden.npz") as archive:
        files = {item: archive.read(item) for item in archive.namelist()}
    with zipfile.ZipFile(bundle / "golden.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for item, old in files.items():
            archive.writestr(item, content if item == name else old)
    list_file(bundle, "golden.npz")


def header(shape, dtype="|u1"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**12, 24, 32)), r"masks.npy is uint8 \(1000000000000, 24, 32\); model.yaml implies uint8 \(4, 24"),
        (header((4, 24, 32), "|O"), r"masks.npy is object \(4, 24, 32\)"),
        (header((4, 24, 32)) + bytes(100), "masks.npy ends after 100 of 3072 bytes"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f", "EOF"),
        (b"\x93NUMPY\x01\x00\x10\x00{'shape': (9,)} ", "is no golden pair of this model"),
        (b"", "is no golden pair of this model"),
    ],
    ids=["terabytes", "objects", "short", "long header", "bad header", "empty"],
)
def test_a_hostile_array_is_refused_before_it_takes_memory(bundle, content, message):
    replace_array(bundle, "masks.npy", content)
    with pytest.raises(BundleError, match=message):
        load_golden(bundle, load_config(bundle))


def test_a_file_that_inflates_without_end_is_not_read_to_its_end(bundle):
    replace_array(bundle, "masks.npy", header((4, 24, 32)) + bytes(200_000_000))
    _, outputs = load_golden(bundle, load_config(bundle))
    assert outputs["masks"].nbytes == 3072


def test_a_bundle_without_a_pair_is_told(tiny_bundle):
    with pytest.raises(BundleError, match=r"golden\.npz: the bundle lists no golden pair .*export the model again"):
        load_golden(tiny_bundle, load_config(tiny_bundle))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_archive_is_refused(bundle, content):
    (bundle / "golden.npz").write_bytes(content)
    list_file(bundle, "golden.npz")
    with pytest.raises(BundleError, match=r"golden\.npz: is no golden pair of this model"):
        load_golden(bundle, load_config(bundle))
