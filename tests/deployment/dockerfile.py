"""Reading the Dockerfile: its stages and their instructions."""

import re
from dataclasses import dataclass, field
from pathlib import Path

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


@dataclass
class Stage:
    """One build stage: what it starts from, and its instructions in order."""

    name: str
    start: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def read_stages() -> dict[str, Stage]:
    """Return the stages by name, in the order of the file."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", code)
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            start, _, name = rest.partition(" AS ")
            current = stages.setdefault(name, Stage(name=name, start=start))
        elif current is not None:
            current.instructions.append((instruction, rest))
    return stages


def lineage(name: str, stages: dict[str, Stage]) -> list[Stage]:
    """Return a stage with every stage that it starts from or copies from."""
    stage = stages[name]
    instructions = " ".join(rest for _, rest in stage.instructions)
    sources = [stage.start, *re.findall(r"--from=(\S+)", instructions)]
    known = [source for source in sources if source in stages]
    return [stage, *(found for source in known for found in lineage(source, stages))]
