"""Parameters of the nodes: what is taken, what is refused and why, without ROS."""

import ast
from pathlib import Path

import pytest

from saom_ros import nodes
from saom_ros.bundle import Thresholds
from saom_ros.nodes.parameters import (
    ImageSourceParameters,
    ParameterError,
    SegmentParameters,
    changed,
    limits_of,
    resolve,
    unknown_names,
)

OF_BUNDLE = Thresholds(score=0.3, objectness=0.4, overlap=0.5)


def test_minus_one_stands_for_the_bundles_own_threshold():
    assert SegmentParameters().thresholds(OF_BUNDLE) == OF_BUNDLE
    given = SegmentParameters(score_threshold=0.0, overlap_threshold=0.9)
    assert given.thresholds(OF_BUNDLE) == Thresholds(score=0.0, objectness=0.4, overlap=0.9)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("score_threshold", -0.5, "score_threshold is -0.5; it must lie in 0..1, or be -1 for the bundle's own"),
        ("score_threshold", 1.5, "score_threshold is 1.5; it must lie in -1..1"),
        ("score_threshold", float("nan"), "score_threshold is nan; it must lie in"),
        ("overlap_threshold", "high", r"overlap_threshold is 'high' \(str\); it must be a number"),
        ("min_area", 0, "min_area is 0; it must lie in 1..2147483647"),
        ("min_area", 10.5, r"min_area is 10.5 \(float\); it must be an integer"),
        ("min_area", True, r"min_area is True \(bool\); it must be an integer"),
        ("max_rate", -1, "max_rate is -1.0; it must lie in 0..1000"),
        ("runtime", "abacus", "runtime is 'abacus'; expected one of auto, onnxruntime"),
        ("threads", -1, "threads is -1; it must lie in 0..1024"),
        ("mode", "sometimes", "mode is 'sometimes'; expected one of continuous, on_demand"),
        ("points_stride", 0, "points_stride is 0; it must lie in 1..64"),
        ("cameras", [], "cameras is empty; name at least one camera"),
        ("cameras", ["front", "front"], "each name may be there once"),
        ("cameras", ["front", ""], "cameras has ''; a name must begin with a letter"),
        ("cameras", ["a/b"], "cameras has 'a/b'; a name must begin with a letter"),
        ("cameras", ["front", 1], r"cameras is \['front', 1\] \(list\); it must be a list of texts"),
    ],
)
def test_a_wrong_value_is_refused_with_value_and_limit(name, value, problem):
    with pytest.raises(ParameterError, match=problem):
        changed(SegmentParameters(), {name: value}, configured=False)
    values, problems = resolve(SegmentParameters, {name: value, "autostart": False})
    assert list(problems) == [name]
    assert values == SegmentParameters(autostart=False), "the default stands in for the wrong value"


def test_an_integer_is_taken_where_a_number_is_due():
    values, problems = resolve(SegmentParameters, {"max_rate": 10, "score_threshold": -1})
    assert not problems
    assert (values.max_rate, type(values.max_rate)) == (10.0, float)


def test_cameras_are_a_list_of_names():
    assert changed(SegmentParameters(), {"cameras": ["front", "wrist_2"]}, configured=False).cameras == (
        "front",
        "wrist_2",
    )
    assert SegmentParameters().cameras == ("",)


@pytest.mark.parametrize("name", ["score_threshold", "objectness_threshold", "overlap_threshold", "max_rate"])
def test_thresholds_and_rate_change_while_running(name):
    assert getattr(changed(SegmentParameters(), {name: 0.7}, configured=True), name) == 0.7


@pytest.mark.parametrize(("name", "value"), [("model", "/elsewhere"), ("runtime", "onnxruntime"), ("threads", 2)])
def test_the_model_changes_only_before_configuring(name, value):
    assert getattr(changed(SegmentParameters(), {name: value}, configured=False), name) == value
    with pytest.raises(ParameterError, match=f"{name} is read when the node configures .*deactivate and clean up"):
        changed(SegmentParameters(), {name: value}, configured=True)


def test_one_wrong_value_refuses_all_of_a_set():
    with pytest.raises(ParameterError):
        changed(SegmentParameters(), {"min_area": 5, "score_threshold": 9.0}, configured=True)


def test_parameters_of_ros_itself_are_left_alone():
    assert changed(SegmentParameters(), {"use_sim_time": True}, configured=True) == SegmentParameters()


def test_a_misspelt_key_is_named_with_the_right_one():
    given = ["scor_threshold", "min_area", "use_sim_time", "qos_overrides./image.subscription.depth", "zzz"]
    assert unknown_names(SegmentParameters, given) == [
        "unknown parameter 'scor_threshold' is ignored; did you mean score_threshold?",
        "unknown parameter 'zzz' is ignored; expected one of " + ", ".join(limits_of(SegmentParameters)),
    ]


@pytest.mark.parametrize("cls", [SegmentParameters, ImageSourceParameters])
def test_every_parameter_is_described_and_every_number_has_a_range(cls):
    for name, limits in limits_of(cls).items():
        assert len(limits.description) > 10
        if isinstance(getattr(cls, name), (int, float)) and not isinstance(getattr(cls, name), bool):
            assert limits.lowest is not None
            assert limits.highest is not None


def test_every_parameter_is_read_by_its_node():
    def attributes_of(*modules: str) -> set[str]:
        sources = [(Path(nodes.__file__).parent / f"{module}.py").read_text() for module in modules]
        return {
            node.attr for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)
        }

    thresholds = {name for name in limits_of(SegmentParameters) if name.endswith("_threshold")}  # see the first test
    assert set(limits_of(SegmentParameters)) - thresholds <= attributes_of("segment_node", "camera", "pipeline")
    assert set(limits_of(ImageSourceParameters)) <= attributes_of("image_source_node")
