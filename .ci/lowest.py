"""Write a constraint for each dependency in pyproject.toml: the lowest version that it allows."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
for requirement in (*project["dependencies"], *project["optional-dependencies"]["test"]):
    if ">=" in requirement:
        sys.stdout.write(requirement.replace(">=", "==") + "\n")
