"""Official SAM files: the layout is Meta's, and files that do not fit are named, never run."""

import pickle

import pytest
import torch
from segment_anything import sam_model_registry
from test_mobile_sam import random_file

from saom_ros.errors import SaomError
from training.sam.registry import build_model, load_official

SHAPE = {"image_size": 64, "depth": 1}
PARAMETERS = {"vit_b": 93_735_472, "vit_l": 312_342_832, "vit_h": 641_090_608}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return build_model("vit_b", SHAPE).sam.state_dict()


def saved(folder, content):
    path = folder / "sam_vit_b_01ec64.pth"
    torch.save(content, path)
    return path


@pytest.mark.parametrize("family", PARAMETERS)
def test_the_layout_is_the_official_one(family):
    with torch.device("meta"):
        ours, official = build_model(family, {}).sam, sam_model_registry[family]()
    shapes = [{name: tensor.shape for name, tensor in sam.state_dict().items()} for sam in (ours, official)]
    assert shapes[0] == shapes[1]
    assert sum(parameter.numel() for parameter in ours.parameters()) == PARAMETERS[family]


def test_a_file_of_the_official_layout_loads(tmp_path, weights):
    model = load_official(saved(tmp_path, weights), "vit_b", {**SHAPE, "classes": 55})
    for name, tensor in model.sam.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], msg=name)
    assert model.class_head.out_features == 55
    assert not model.training


def test_another_familys_file_is_named(tmp_path, weights):
    path = saved(tmp_path, weights)
    with pytest.raises(SaomError, match="holds weights of vit_b, asked was vit_h; give family vit_b"):
        load_official(path, "vit_h", SHAPE)
    with pytest.raises(SaomError, match="holds weights of vit_b, asked was mobile_sam"):
        load_official(path, "mobile_sam", {"image_size": 64})
    torch.save(random_file(), path)
    with pytest.raises(SaomError, match="holds weights of mobile_sam, asked was vit_b"):
        load_official(path, "vit_b", SHAPE)


def test_missing_extra_and_misshapen_weights_are_named(tmp_path, weights):
    few = {name: tensor for name, tensor in weights.items() if not name.startswith("mask_decoder.transformer")}
    first = "mask_decoder.transformer.layers.0.self_attn.q_proj.weight"
    with pytest.raises(SaomError, match=rf"lacks {first}, .* and \d+ more"):
        load_official(saved(tmp_path, few), "vit_b", SHAPE)
    with pytest.raises(SaomError, match=r"has unknown mask_decoder\.hq_token\.weight; get"):
        load_official(saved(tmp_path, {**weights, "mask_decoder.hq_token.weight": torch.zeros(1)}), "vit_b", SHAPE)
    with pytest.raises(SaomError, match=r"image_encoder.pos_embed is \(1, 4, 4, 768\), expected \(1, 8, 8, 768\)"):
        load_official(saved(tmp_path, weights), "vit_b", {**SHAPE, "image_size": 128})


def test_a_truncated_file_is_named(tmp_path, weights):
    path = saved(tmp_path, weights)
    whole = path.read_bytes()
    for size in (0, 10, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(SaomError, match=r"sam_vit_b_01ec64\.pth: not a readable weights file.*download it again"):
            load_official(path, "vit_b", SHAPE)


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_code_in_a_file_is_not_run(tmp_path, save):
    path = tmp_path / "evil.pth"
    save({"image_encoder.pos_embed": RunsCode(tmp_path / "ran")}, path)
    with pytest.raises(SaomError, match="holds code besides weights, which is not run"):
        load_official(path, "vit_b", SHAPE)
    assert not (tmp_path / "ran").exists()


def test_other_files_are_told_apart(tmp_path):
    path = tmp_path / "other.pth"
    with pytest.raises(SaomError, match="no such file"):
        load_official(path, "vit_b")
    for content, message in (
        ({"state_dict": {}, "saom": {}}, "is a checkpoint of 'python -m training finetune'"),
        ({"model": {"a": torch.zeros(1)}}, "is no table of tensors"),
        ([1, 2], "is no table of tensors"),
        ({"conv1.weight": torch.zeros(1)}, "holds no weights of a known SAM"),
    ):
        torch.save(content, path)
        with pytest.raises(SaomError, match=message):
            load_official(path, "vit_b", SHAPE)
    with pytest.raises(SaomError, match="family 'small' has no official files"):
        load_official(path, "small")
