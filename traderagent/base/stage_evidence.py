"""What a stage leaves on disk: one JSON record, Parquet tables beside it, and headline numbers for DVC."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, unknown
from traderagent.base.files import replacing, write_json
from traderagent.base.stored import stored_frame, stored_record
from traderagent.base.words import counted

if TYPE_CHECKING:
    import xarray as xr

POOLED = "pooled"
SYNTHETIC = "\nThe candles are **synthetic**: no real market is shown here."


class StageRecord:
    """What the record of any stage says.

    Attributes
    ----------
    record : what the JSON file holds
    """

    STAGE: ClassVar[str]
    record: dict[str, Any]

    @property
    def symbols(self) -> list[str]:
        """Symbols that were run."""
        return list(self.record["symbols"])

    @property
    def skipped(self) -> dict[str, str]:
        """Symbols that were not, with the reason."""
        return dict(self.record["skipped"])

    @property
    def synthetic(self) -> bool:
        """Whether any candles are synthetic."""
        return bool(self.record["synthetic"])

    @property
    def samples(self) -> list[str]:
        """`in` and `out`, or `whole` where nothing was set aside."""
        return list(self.record["samples"])

    @property
    def shown(self) -> str:
        """The sample that counts: the one after the cut where there is one."""
        return self.samples[-1]

    def known(self, what: str, name: str | None, allowed: list[str], default: str) -> str:
        """A name that was asked for, or the default.

        Raises
        ------
        UnknownName
            For a name that the stage does not have.
        """
        if name is None:
            return default
        if name not in allowed:
            raise unknown(what, name, allowed, f"the stage {self.STAGE}")
        return name


class StageEvidence(StageRecord):
    """A record and tables of a stage, fresh or read back; each stage says what they mean.

    Attributes
    ----------
    record : what the JSON file holds
    frames : name → table
    cube : what lies beside them as Zarr for whoever asks more of it (`ta.load_cube`); None when read back
    """

    FRAMES: ClassVar[Mapping[str, tuple[str, ...]]]  # name of a table → columns that it has in any case
    RECORD: ClassVar[str] = ""  # name of the JSON file; "" is that of the stage
    INDEXED: ClassVar[bool] = False  # whether the tables' index is stored

    def __init__(
        self, record: dict[str, Any], frames: Mapping[str, pd.DataFrame], cube: "xr.Dataset | None" = None
    ) -> None:
        self.record = record
        self.frames = frames
        self.cube = cube

    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        raise NotImplementedError

    def in_words(self) -> str:
        """The answer as Markdown."""
        raise NotImplementedError

    def save(self, folder: str | Path) -> Path:
        """Write record, tables and cube into a folder, whole or not at all, and the headline numbers beside it as
        `folder.json`. The same runs give the same bytes.

        Raises
        ------
        DataError
            Where there is no room or no right to write.
        """
        folder = Path(folder)
        with replacing(folder) as scratch:
            scratch.mkdir()
            write_json(scratch / (self.RECORD or f"{self.STAGE}.json"), self.record)
            for name in self.FRAMES:
                self.frames[name].to_parquet(scratch / f"{name}.parquet", compression="zstd", index=self.INDEXED)
            if self.cube is not None:
                from traderagent.base.cube import save_cube

                save_cube(self.cube, scratch / "cube")
        write_json(folder.parent / f"{folder.name}.json", self.numbers())
        return folder

    @classmethod
    def of(cls, found: Any, plot: str, given_by: str) -> Self:
        """The evidence in a result, or the evidence itself.

        Parameters
        ----------
        found : evidence, or a result that holds some as `evidence`
        plot, given_by : what asks for it, and what gives it

        Raises
        ------
        ConfigError
            For something else.
        """
        given = found if isinstance(found, StageEvidence) else getattr(found, "evidence", None)
        if not isinstance(given, cls):
            raise ConfigError(f"plots.{plot}: got {type(found).__name__}, allowed is what {given_by} gives")
        return given

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote, but for the cube.

        Raises
        ------
        DataError
            Where a file is missing, broken or another table, with the stage that writes it.
        """
        folder = Path(folder)
        record = stored_record(folder / (cls.RECORD or f"{cls.STAGE}.json"), cls.STAGE)
        frames = {n: stored_frame(folder / f"{n}.parquet", cls.STAGE, columns) for n, columns in cls.FRAMES.items()}
        return cls(record, frames)

    def closing_words(self) -> list[str]:
        """What stands below every answer: who was skipped and why, and that candles are synthetic."""
        lines = [f"- **{symbol}** was skipped: {why}." for symbol, why in self.skipped.items()]
        return [*lines, *([SYNTHETIC] if self.synthetic else [])]

    def __repr__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        return f"<{label}{self.STAGE} of {counted(len(self.symbols), 'symbol')}>\n{self.in_words()}"

    def _repr_markdown_(self) -> str:
        return self.in_words()


class SearchedRows(StageRecord):
    """What a record says whose rows are the symbols, each with choices of its own, and `pooled`: one choice for all."""

    @property
    def symbols(self) -> list[str]:
        """Symbols that were searched."""
        return [name for name in self.rows if name != POOLED]

    @property
    def rows(self) -> list[str]:
        """Symbols, then `pooled`."""
        return list(self.record["symbols"])

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Parameters that were searched, with their values."""
        return dict(self.record["axes"])

    @property
    def objective(self) -> str:
        """The metric that was searched by."""
        return str(self.record["objective"])


def real(value: float | None) -> float:
    """A stored number; NaN where it is undefined."""
    return np.nan if value is None else float(value)
