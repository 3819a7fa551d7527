"""Reads the tables that plotnine ships, without importing plotnine."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd


def read_plotnine_table(name: str) -> pd.DataFrame:
    """Return a table by its name.

    Raises:
        ModuleNotFoundError: plotnine is not installed.
    """
    spec = find_spec("plotnine")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotnine is missing: install requirements/dev.txt")
    return pd.read_csv(Path(spec.origin).parent / "data" / f"{name}.csv")
