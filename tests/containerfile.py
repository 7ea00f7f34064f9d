"""Read a Containerfile: its stages as lists of instructions."""

import json
import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction of a stage: `RUN`, and what follows it on one line."""

    word: str
    text: str

    @property
    def command(self) -> list[str]:
        """The JSON form of ENTRYPOINT, CMD and HEALTHCHECK ... CMD."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found


def stages(path: Path) -> list[list[Instruction]]:
    """Return the stages in their order, each beginning with its FROM."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    found: list[list[Instruction]] = []
    for word, _, rest in (line.partition(" ") for line in lines if line.strip()):
        if word == "FROM":
            found.append([])
        found[-1].append(Instruction(word, rest.strip()))
    return found


def one(stage: list[Instruction], word: str) -> Instruction:
    """Return the only instruction of this kind in a stage."""
    (found,) = (instruction for instruction in stage if instruction.word == word)
    return found


def environment(stage: list[Instruction]) -> dict[str, str]:
    """Return what the ENV instructions of a stage set."""
    pairs = (pair for line in stage if line.word == "ENV" for pair in line.text.split())
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
