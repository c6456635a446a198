"""Which GPU a worker draws on."""

from __future__ import annotations

import pytest

from training.collecting import egl_devices
from training.collecting.egl_devices import INDEX_VARIABLE, EglDevice, choose_device, list_devices, pick

CPU = EglDevice(software=True, cuda=None)
OTHER_MAKE = EglDevice(software=False, cuda=None)


def nvidia(cuda: int | None) -> EglDevice:
    return EglDevice(software=False, cuda=cuda)


@pytest.mark.parametrize(
    ("devices", "gpu", "index"),
    [
        ([], 0, None),
        ([CPU], 3, None),
        ([nvidia(1), nvidia(0), CPU], 0, 1),
        ([nvidia(1), nvidia(0), CPU], 1, 0),
        ([nvidia(0), nvidia(1)], 5, 1),
        ([CPU, OTHER_MAKE, OTHER_MAKE], 1, 2),
        ([OTHER_MAKE, nvidia(0)], 3, 1),
        ([nvidia(None), nvidia(0), nvidia(None)], 1, 1),
    ],
    ids=["no EGL", "no GPU", "by CUDA number 0", "by CUDA number 1", "counted round", "not NVIDIA", "NVIDIA first",
         "CUDA_VISIBLE_DEVICES hides the others"],
)  # fmt: skip
def test_worker_gets_its_gpu(devices: list[EglDevice], gpu: int, index: int | None) -> None:
    assert pick(devices, gpu) == index


def test_choice_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egl_devices, "list_devices", lambda: [nvidia(0), nvidia(1)])
    monkeypatch.setenv(INDEX_VARIABLE, "0")
    choose_device(1)
    assert egl_devices.os.environ[INDEX_VARIABLE] == "0"


def test_devices_of_this_machine_are_listed() -> None:
    assert list_devices(), "libEGL lists at least Mesa's software device"


def test_missing_egl_is_left_to_the_simulator_to_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(egl_devices.ctypes, "CDLL", refuse)
    assert list_devices() == []
