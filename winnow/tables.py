"""A table of results that becomes one of pandas, polars or Arrow, whichever is installed."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class ResultTable:
    """A table as the service gives it; none of the libraries is loaded before it is asked for.

    Attributes:
        content: The Parquet file, byte for byte.
    """

    content: bytes

    def to_arrow(self) -> "pa.Table":
        """Returns a ``pyarrow.Table``.

        Raises:
            ImportError: pyarrow is not installed.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - Optional.

        return pq.read_table(io.BytesIO(self.content))

    def to_pandas(self) -> "pd.DataFrame":
        """Returns a ``pandas.DataFrame``.

        Raises:
            ImportError: pandas or pyarrow is not installed.
        """
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> "pl.DataFrame":
        """Returns a ``polars.DataFrame``.

        Raises:
            ImportError: polars is not installed.
        """
        import polars as pl  # noqa: PLC0415 - Optional.

        return pl.read_parquet(io.BytesIO(self.content))

    def write(self, target: str | Path) -> None:
        """Writes the Parquet file."""
        Path(target).write_bytes(self.content)

    def __repr__(self) -> str:
        return f"ResultTable({len(self.content)} bytes of Parquet)"
