"""A wheel that carries the program (headpatching/_program) is one for its platform, whatever the Python; one without is for all."""

from pathlib import Path

from setuptools import Distribution, setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel


class PlatformWheel(bdist_wheel):
    def get_tag(self) -> "tuple[str, str, str]":
        return "py3", "none", super().get_tag()[2]


class WithProgram(Distribution):
    def has_ext_modules(self) -> bool:
        return True  # what setuptools takes as being for one platform


carries_program = Path(__file__).with_name("headpatching").joinpath("_program").is_dir()
setup(**({"cmdclass": {"bdist_wheel": PlatformWheel}, "distclass": WithProgram} if carries_program else {}))
