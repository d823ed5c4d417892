"""A wheel that carries the program (headpatching/_program) is one for its platform, whatever the Python; one without is for all."""

from pathlib import Path

from setuptools import setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel


class PlatformWheel(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> "tuple[str, str, str]":
        return "py3", "none", super().get_tag()[2]


carries_program = Path(__file__).with_name("headpatching").joinpath("_program").is_dir()
setup(cmdclass={"bdist_wheel": PlatformWheel} if carries_program else {})
