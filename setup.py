"""What setup.cfg cannot say: which packages there are, and that a build takes nothing from the one before it."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildAnew(build_py):
    """setuptools packs all that lies in `build/lib`, also modules and migrations that are deleted here since."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "dataflow"), ignore_errors=True)
        super().run()


setup(packages=[*find_packages(include=["dataflow", "dataflow.*"]), "dataflow.sql"], cmdclass={"build_py": BuildAnew})
