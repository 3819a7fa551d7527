"""Writes the reference of all commands into a page, out of the commands themselves.

Run as ``python -m winnow.cli_reference docs/cli.md``; what stands above the mark is kept.
"""

import re
import subprocess
import sys
from pathlib import Path

MARK = "<!-- What follows is written by `make cli-reference`. -->"


def reference() -> str:
    """Returns the reference of every command in Markdown, its headings a level below a page's.

    Raises:
        subprocess.CalledProcessError: the commands cannot be described.
    """
    command = [sys.executable, "-m", "typer", "winnow.cli", "utils", "docs", "--name", "winnow"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - Ours.
    lowered = re.sub(r"^(#+ )", r"#\1", done.stdout, flags=re.MULTILINE)
    # Trailing blanks would be taken for line breaks.
    return "\n".join(line.rstrip() for line in lowered.strip().splitlines()) + "\n"


def with_reference(page: str) -> str:
    """Returns the page with the reference below its mark.

    Raises:
        ValueError: the page has no mark.
    """
    above, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"the page has no line {MARK!r}")
    return f"{above}{MARK}\n\n{reference()}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_reference(target.read_text(encoding="utf-8")), encoding="utf-8")
