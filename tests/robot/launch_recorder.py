"""Stand-ins for `launch` and `launch_ros` that record what a launch file asks for.

They know the keyword names of the real classes (Humble to Kilted) and refuse others, so a launch file that runs here
also constructs there. Used where ROS 2 comes without launch; `record` installs them for the time of one execution.
What they do with parameters, names and included files was read in launch_ros 0.26 (Jazzy) and compared with it by hand.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

PROCESS_KEYWORDS = {
    "cwd", "env", "additional_env", "shell", "sigterm_timeout", "sigkill_timeout", "emulate_tty", "prefix", "output",
    "output_format", "log_cmd", "on_exit", "respawn", "respawn_delay", "condition",
}  # fmt: skip
"""Keyword arguments of launch.actions.ExecuteProcess and launch.action.Action that Node hands on."""


class Substitution(ABC):
    """Something that becomes text when the launch runs."""

    @abstractmethod
    def perform(self, configurations: Mapping[str, str]) -> str: ...


@dataclass
class LaunchConfiguration(Substitution):
    variable_name: str
    default: Any = field(default=None, kw_only=True)

    def perform(self, configurations):
        return configurations[self.variable_name]


@dataclass
class IfCondition:
    predicate_expression: Any


@dataclass
class ParameterValue:
    value: Any
    value_type: type | None = field(default=None, kw_only=True)


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: Any = field(default=None, kw_only=True)
    description: str | None = field(default=None, kw_only=True)
    choices: list[str] | None = field(default=None, kw_only=True)


@dataclass
class OpaqueFunction:
    function: Callable[..., list | None] = field(kw_only=True)


class LaunchContext:
    """Only named in annotations."""


@dataclass
class PythonLaunchDescriptionSource:
    launch_file_path: str


@dataclass
class IncludeLaunchDescription:
    launch_description_source: PythonLaunchDescriptionSource
    launch_arguments: Any = field(default=None, kw_only=True)
    condition: Any = field(default=None, kw_only=True)


class Node:
    def __init__(
        self,
        *,
        executable: Any,
        package: Any = None,
        name: Any = None,
        namespace: Any = None,
        exec_name: Any = None,
        parameters: list | None = None,
        remappings: list | None = None,
        ros_arguments: list | None = None,
        arguments: list | None = None,
        **process: Any,
    ) -> None:
        unknown = set(process) - PROCESS_KEYWORDS
        if unknown:
            raise TypeError(f"launch_ros.actions.Node has no keyword arguments {sorted(unknown)}")
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters, self.remappings, self.arguments = parameters or [], remappings or [], arguments or []
        self.process = process


@dataclass
class LaunchDescription:
    initial_entities: list


MODULES: dict[str, dict[str, Any]] = {
    "launch": {"LaunchContext": LaunchContext, "LaunchDescription": LaunchDescription},
    "launch.actions": {
        "DeclareLaunchArgument": DeclareLaunchArgument,
        "IncludeLaunchDescription": IncludeLaunchDescription,
        "OpaqueFunction": OpaqueFunction,
    },
    "launch.conditions": {"IfCondition": IfCondition},
    "launch.launch_description_sources": {"PythonLaunchDescriptionSource": PythonLaunchDescriptionSource},
    "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
    "launch_ros": {},
    "launch_ros.actions": {"Node": Node},
    "launch_ros.parameter_descriptions": {"ParameterValue": ParameterValue},
}


@dataclass
class Launched:
    """One node as it would be started, all text resolved."""

    package: str
    executable: str
    name: str
    namespace: str
    parameters: list[Any]
    """Mappings of values in their types, and paths of parameter files, in order."""
    remappings: dict[str, str]
    arguments: list[str]
    environment: dict[str, str]
    respawn: str

    def ros_arguments(self, folder: Path) -> list[str]:
        """The command line after `--ros-args`; parameters are written into files in `folder`.

        As launch_ros does it: below the node's name where the launch file gives one, else below `/**`.
        """
        arguments = ["-r", f"__ns:=/{self.namespace.strip('/')}"] if self.namespace else []
        arguments += ["-r", f"__node:={self.name}"] if self.name else []
        section = "/".join(["", *filter(None, [self.namespace.strip("/")]), self.name]) if self.name else "/**"
        for index, item in enumerate(self.parameters):
            path = Path(item) if isinstance(item, str) else folder / f"launch_params_{index}.yaml"
            if not isinstance(item, str):
                path.write_text(yaml.safe_dump({section: {"ros__parameters": item}}))
            arguments += ["--params-file", str(path)]
        return arguments + [text for pair in self.remappings.items() for text in ("-r", ":=".join(pair))]


@dataclass
class Recording:
    arguments: dict[str, DeclareLaunchArgument] = field(default_factory=dict)
    """Also those of included files, as `--show-args` lists them."""
    nodes: dict[str, Launched] = field(default_factory=dict)
    """By name, or by executable where the launch file gives no name; those whose condition holds."""
    optional: set[str] = field(default_factory=set)
    """Executables that a condition left out."""


def record(path: Path, **given: str) -> Recording:
    """Execute a launch file with some launch arguments."""
    recording = Recording()
    _execute(path, recording, dict(given))
    unknown = set(given) - set(recording.arguments)
    assert not unknown, f"{path.name} declares no arguments {sorted(unknown)}"
    return recording


def _execute(path: Path, recording: Recording, configurations: dict[str, str]) -> None:
    with _installed():
        spec = importlib.util.spec_from_file_location(f"recorded_{path.name.replace('.', '_')}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        description = module.generate_launch_description()
    for entity in description.initial_entities:
        _visit(entity, recording, configurations)


def _visit(entity: Any, recording: Recording, configurations: dict[str, str]) -> None:
    def text(value: Any) -> str:
        return value.perform(configurations) if isinstance(value, Substitution) else str(value)

    def typed(value: Any) -> Any:
        if not isinstance(value, ParameterValue):
            return text(value) if isinstance(value, Substitution) else value
        if value.value_type is bool:
            assert text(value.value) in ("true", "false")
            return text(value.value) == "true"
        return value.value_type(text(value.value))

    if isinstance(entity, DeclareLaunchArgument):
        recording.arguments.setdefault(entity.name, entity)
        configurations.setdefault(entity.name, text(entity.default_value))
    elif isinstance(entity, IncludeLaunchDescription):
        # The included file shares the configurations: it sees what was set before, and leaves its own behind.
        configurations |= {name: text(value) for name, value in entity.launch_arguments or []}
        _execute(Path(entity.launch_description_source.launch_file_path), recording, configurations)
    elif isinstance(entity, OpaqueFunction):
        for made in entity.function(configurations) or []:
            _visit(made, recording, configurations)
    elif isinstance(entity, Node):
        condition = entity.process.get("condition")
        if condition is not None and text(condition.predicate_expression) != "true":
            recording.optional.add(entity.executable)
            return
        recording.nodes[text(entity.name or entity.executable)] = Launched(
            package=text(entity.package),
            executable=text(entity.executable),
            name=text(entity.name or ""),
            namespace=text(entity.namespace or ""),
            parameters=[
                {key: typed(value) for key, value in item.items()} if isinstance(item, Mapping) else text(item)
                for item in entity.parameters
            ],
            remappings={text(source): text(target) for source, target in entity.remappings},
            arguments=[text(argument) for argument in entity.arguments],
            environment={text(key): text(value) for key, value in entity.process.get("additional_env", {}).items()},
            respawn=text(entity.process.get("respawn", "false")),
        )
    else:
        raise AssertionError(f"{type(entity).__name__} is unknown to the recorder")


@contextmanager
def _installed() -> Iterator[None]:
    before = {name: sys.modules.get(name) for name in MODULES}
    for name, members in MODULES.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
