"""The build backend: setuptools, with a C compiler from PyPI on machines that have none.

Belongs here: finding a compiler. What is compiled is listed in pyproject.toml.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401 - a backend's hooks are looked up here
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

_PORTABLE_COMPILER = "ziglang>=0.13"


def _has_compiler() -> bool:
    """Whether the compiler that Python was built with, or the one that CC names, is here."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(shlex.split(command)[0]) is not None


def _use_compiler() -> None:
    if not _has_compiler():
        os.environ["CC"] = f"{sys.executable} -m ziglang cc"
        os.environ["LDSHARED"] = f"{sys.executable} -m ziglang cc -shared"


def _requirements(found: list[str]) -> list[str]:
    return found if _has_compiler() else [*found, _PORTABLE_COMPILER]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What has to be installed to build a wheel."""
    return _requirements(build_meta.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """What has to be installed to build for an editable install."""
    return _requirements(build_meta.get_requires_for_build_editable(config_settings))


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel, and compile what is in C."""
    _use_compiler()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build for an editable install: what is in C is compiled beside its sources' package."""
    _use_compiler()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
