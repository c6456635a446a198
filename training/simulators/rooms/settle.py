"""Lets loose objects fall and come to rest on fixed ones with MuJoCo, on collision primitives rather than on meshes."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.scene import Collider, SceneObject

TIME_STEP = 0.004
"""s."""
MAX_TIME = 1.8
"""s of simulated time; what still moves then is taken out of the scene."""
RETRY_TIME = 0.6
"""s for what is left when supports were taken out."""
STILL_SPEED = 0.03
"""m/s and rad/s below which everything counts as at rest."""
MOVING_SPEED = 0.12
"""m/s above which an object at the end is taken out."""
MAX_PENETRATION = 0.001
"""m; an object that ends up deeper inside another one is taken out."""
FIXED, LOOSE = 1, 2
"""Collision groups: fixed objects touch loose ones only."""
SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
}


def settle(
    fixed: list[SceneObject], loose: list[SceneObject], half_size: tuple[float, float, float]
) -> list[SceneObject]:
    """Move `loose` objects to where they come to rest; returns those that rest inside the room on something.

    `half_size` is the room's (W, D, H) in m. Deterministic: the same input gives the same poses on one machine.
    """
    kept, supports_lost = _let_fall(fixed, loose, half_size, MAX_TIME)
    while supports_lost:
        # What lay on an object that was taken out would float: let the rest fall again. Every round has fewer.
        kept, supports_lost = _let_fall(fixed, kept, half_size, RETRY_TIME)
    return kept


def penetration(
    fixed: list[SceneObject], loose: list[SceneObject], half_size: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Deepest overlap in m `(N,)` of each loose object where it is, and whether it touches anything `(N,)`."""
    model = _model(fixed, loose, half_size)
    state = mujoco.MjData(model)
    mujoco.mj_forward(model, state)
    return _contacts(model, state, len(loose))


def _let_fall(
    fixed: list[SceneObject], loose: list[SceneObject], half_size: tuple[float, float, float], max_time: float
) -> tuple[list[SceneObject], bool]:
    """The objects that come to rest, moved to their poses, and whether one of them leant on one that did not."""
    if not loose:
        return [], False
    model = _model(fixed, loose, half_size)
    state = mujoco.MjData(model)
    for step in range(int(max_time / TIME_STEP)):
        mujoco.mj_step(model, state)
        if step > 60:
            # Bleed energy so that round things stop rolling within the simulated time.
            state.qvel[:] *= 0.985
        if step > 100 and step % 10 == 0 and np.abs(state.qvel).max() < STILL_SPEED:
            break
    mujoco.mj_forward(model, state)
    resting = _resting(model, state, len(loose), half_size)
    poses = state.qpos.reshape(-1, 7)
    for index, item in enumerate(loose):
        item.position, item.rotation = poses[index, :3].copy(), rotation_from_quaternion(poses[index, 3:])
    # Body 0 is the world, which stays.
    stays = np.r_[True, resting]
    pairs = model.geom_bodyid[state.contact.geom] if state.ncon else np.zeros((0, 2), int)
    supports_lost = bool((stays[pairs[:, 0]] != stays[pairs[:, 1]])[(pairs > 0).all(axis=1)].any())
    return [item for item, rests in zip(loose, resting, strict=True) if rests], supports_lost


def _model(fixed: list[SceneObject], loose: list[SceneObject], half_size: tuple[float, float, float]) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.option.timestep = TIME_STEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations = 20
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    world = spec.worldbody
    w, d, h = half_size
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[6, 6, 0.1], contype=FIXED, conaffinity=LOOSE)
    for x, y, hx, hy in (
        (w + 0.05, 0, 0.05, d),
        (-w - 0.05, 0, 0.05, d),
        (0, d + 0.05, w, 0.05),
        (0, -d - 0.05, w, 0.05),
    ):
        size, at = [hx, hy, h / 2], [x, y, h / 2]
        world.add_geom(type=SHAPES["box"], size=size, pos=at, contype=FIXED, conaffinity=LOOSE)
    for item in fixed:
        for collider in item.colliders:
            position = item.rotation @ collider.position + item.position
            _add_geom(world, collider, position, item.rotation @ collider.rotation, FIXED)
    for item in loose:
        body = world.add_body(pos=item.position.tolist(), quat=quaternion(item.rotation))
        body.add_freejoint()
        for collider in item.colliders:
            _add_geom(body, collider, collider.position, collider.rotation, LOOSE)
    return spec.compile()


def _add_geom(body: mujoco.MjsBody, collider: Collider, position: NDArray, rotation: NDArray, group: int) -> None:
    body.add_geom(
        type=SHAPES[collider.shape],
        size=[*collider.size, 0.0, 0.0][:3],
        pos=position.tolist(),
        quat=quaternion(rotation),
        friction=[0.8, 0.01, 0.002],
        density=400,
        contype=group,
        conaffinity=LOOSE if group == FIXED else FIXED | LOOSE,
        solref=[0.01, 1],
        solimp=[0.95, 0.99, 0.0005, 0.5, 2],
    )


def _resting(
    model: mujoco.MjModel, state: mujoco.MjData, count: int, half_size: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """bool `(count,)`: slow, touching something, not deep inside anything, and inside the room."""
    deepest, touching = _contacts(model, state, count)
    speed = np.linalg.norm(state.qvel.reshape(-1, 6)[:, :3], axis=1)
    position = state.qpos.reshape(-1, 7)[:, :3]
    w, d, h = half_size
    inside = (
        (np.abs(position[:, 0]) < w) & (np.abs(position[:, 1]) < d) & (position[:, 2] > -0.02) & (position[:, 2] < h)
    )
    return (speed < MOVING_SPEED) & touching & (deepest < MAX_PENETRATION) & inside


def _contacts(model: mujoco.MjModel, state: mujoco.MjData, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Deepest overlap in m and contact of each loose body; of two loose ones the later placed is charged."""
    deepest, touching = np.zeros(count + 1), np.zeros(count + 1, bool)
    if state.ncon:
        bodies = model.geom_bodyid[state.contact.geom]
        touching[bodies.ravel()] = True
        np.maximum.at(deepest, bodies.max(axis=1), -state.contact.dist)
    return deepest[1:], touching[1:]


def quaternion(rotation: NDArray[np.float64]) -> list[float]:
    """[w, x, y, z] of a `(3, 3)` rotation."""
    result = np.zeros(4)
    mujoco.mju_mat2Quat(result, np.ascontiguousarray(rotation, np.float64).ravel())
    return result.tolist()


def rotation_from_quaternion(wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(3, 3)` rotation of a unit quaternion."""
    result = np.zeros(9)
    mujoco.mju_quat2Mat(result, np.ascontiguousarray(wxyz, np.float64))
    return result.reshape(3, 3)
