"""What the tasks of a sweep found, in memory or in a checkpoint that survives a kill."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from traderagent.base.cube import cannot_be_opened, occupied, place_of
from traderagent.base.errors import ConfigError, DataError, TraderAgentError
from traderagent.base.files import Taken, claiming
from traderagent.metrics.record import METRICS
from traderagent.research.job import Job

FORMAT = 1
KIND = "checkpoint of a sweep"
ABSENT = -1e30  # no metric and no return; Zarr writes no chunk that holds nothing else


class Outcomes:
    """Metrics and daily returns of every place and point, in memory.

    Attributes
    ----------
    values : (n_places, n_points, n_metrics) float64; daily : (n_places, n_points, n_days) float32 or None
    finished : (n_places, n_chunks) bool
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        n_places, n = len(job.places), len(job.space)
        self.values: Any = np.full((n_places, n, len(METRICS)), np.nan)
        self.daily: Any = np.full((n_places, n, job.n_days), np.nan, np.float32) if job.daily else None
        self.finished: Any = np.zeros((n_places, -(-n // job.chunk)), bool)

    def write(self, place: int, start: int, values: np.ndarray, daily: np.ndarray | None) -> None:
        """Keep what a task found."""
        stop = start + len(values)
        if daily is not None:
            self.daily[place, start:stop] = daily
        self.values[place, start:stop] = values
        self.finished[place, start // self.job.chunk] = True

    def missing(self, place: int) -> list[tuple[int, int]]:
        """Start and stop of the tasks of a place that are still to be done."""
        return [chunk for chunk, done in zip(self.job.chunks(), self.finished[place], strict=True) if not done]


class Checkpoint(Outcomes):
    """The same in a Zarr group, a chunk a task: written whole or not at all, the mark that it is there last.

    Parameters
    ----------
    job : what is to be done
    where : folder, or any URL that fsspec knows
    begun : it must be there already

    Raises
    ------
    ConfigError
        Where what is there belongs to other candles, parameters, code, …
    DataError
        Where it cannot be read or written.
    """

    def __init__(self, job: Job, where: str | Path, *, begun: bool = False) -> None:
        self.job, self.where = job, place_of(where)
        with self._told("cannot be read"):
            group: Any = _group(self.where)
        if group is None and begun:
            raise DataError(
                f"checkpoint {self.where}: not there, although the sweep has begun one; name a place that every worker "
                "sees under the same name, e.g. an absolute path on a shared disk"
            )
        if group is None:
            group = self._begun()
        with self._told("cannot be read"):
            self._check(group.attrs["job"])
            self.values, self.finished = group["values"], group["finished"]
            self.daily = group["daily"] if job.daily else None

    def _begun(self) -> Any:
        """An empty one, or that of another process which began at the same moment and was faster.

        A folder gets its place whole and by one step. At a URL nothing can be renamed in one step: it is made in place,
        what makes it valid, its key, last.
        """
        with self._told("cannot be written"):
            if "://" in self.where:
                self._make(self.where)
            else:
                with suppress(Taken), claiming(self.where) as scratch:
                    self._make(str(scratch))
            group = _group(self.where)
        if group is None:
            raise DataError(f"checkpoint {self.where}: its making was interrupted; delete it to start anew")
        return group

    def _make(self, where: str) -> None:
        import zarr

        job, n = self.job, len(self.job.space)
        n_places = len(job.places)
        shapes: dict[str, tuple] = {
            "values": ((n_places, n, len(METRICS)), (1, job.chunk, len(METRICS)), np.float64, ABSENT),
            "finished": ((n_places, -(-n // job.chunk)), (1, 1), bool, False),
        }
        if job.daily:
            shapes["daily"] = ((n_places, n, job.n_days), (1, job.chunk, job.n_days), np.float32, ABSENT)
        group = zarr.open_group(where, mode="w", zarr_format=3, attributes={"kind": KIND})
        for name, (shape, chunks, dtype, fill) in shapes.items():
            group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill)
        group.attrs["job"] = self._key()

    def _key(self) -> dict[str, Any]:
        return self.job.parts | {"chunk": self.job.chunk, "metrics": list(METRICS), "format": FORMAT}

    def _check(self, key: dict[str, Any]) -> None:
        ours = self._key()
        other = [name for name in ours if key.get(name) != ours[name]]
        if other:
            raise ConfigError(
                f"checkpoint {self.where}: got one made with other {' and '.join(other)}, allowed is one of the same "
                "sweep; name another place, or delete it to start anew"
            )

    def write(self, place: int, start: int, values: np.ndarray, daily: np.ndarray | None) -> None:
        with self._told("cannot be written, what is there stays valid"):
            super().write(place, start, values, daily)

    def missing(self, place: int) -> list[tuple[int, int]]:
        with self._told("cannot be read"):
            finished = self.finished[place]
        return [chunk for chunk, done in zip(self.job.chunks(), finished, strict=True) if not done]

    def read(self, kept: Sequence[int]) -> Outcomes:
        """Everything in memory, once it is certain that nothing of the places in `kept` is missing."""
        found = Outcomes(self.job)
        with self._told("cannot be read"):
            marks = self.finished[:]
            stored = [array.nchunks_initialized for array in (self.values, self.daily) if array is not None]
            lost = int((~marks[kept]).sum()), max(int(marks.sum()) - min(stored), 0)
            if any(lost):
                raise DataError(
                    f"checkpoint {self.where}: {sum(lost)} of {marks.size} tasks are gone although they were finished; "
                    "it was changed from outside. Delete it and run the sweep again"
                )
            found.values[:] = self.values[:]
            found.finished[:] = self.finished[:]
            if self.job.daily:
                found.daily[:] = self.daily[:]
        return found

    def _told(self, what: str) -> AbstractContextManager[None]:
        return _told(self.where, what)


def stored_chunk(where: str | Path | None) -> int | None:
    """Trials of a task of the checkpoint that is there, since it goes on as it began; None where there is none."""
    if where is None:
        return None
    with _told(place_of(where), "cannot be read"):
        group = _group(place_of(where))
        return None if group is None else int(group.attrs["job"]["chunk"])


def _group(where: str) -> Any:
    """The Zarr group of a checkpoint, None where there is nothing, or one whose making was interrupted."""
    import zarr

    try:
        group = zarr.open_group(where, mode="r+")
    except FileNotFoundError:
        if occupied(where):
            raise _stranger(where) from None
        return None
    if group.attrs.get("kind") != KIND:
        raise _stranger(where)
    return group if "job" in group.attrs else None


def _stranger(where: str) -> ConfigError:
    return ConfigError(
        f"checkpoint {where}: got a place that holds something else, allowed is an empty or new one, or the checkpoint "
        "of the same sweep; name another"
    )


@contextmanager
def _told(where: str, what: str) -> Iterator[None]:
    """Say of which checkpoint something went wrong, and what to do."""
    try:
        yield
    except TraderAgentError:
        raise
    except ImportError as error:
        raise cannot_be_opened(f"checkpoint {where}", error) from None
    except OSError as error:
        raise DataError(
            f"checkpoint {where}: {what}: {error.strerror or error}; make room or name another place, "
            "then run the same sweep again, it goes on where it was"
        ) from error
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"checkpoint {where}: {what}: {error}; delete it to start anew, or name another place"
        ) from error


def remove_checkpoint(where: str | Path) -> None:
    """Delete a checkpoint, or those of the phases of one search, and nothing else that lies there.

    Parameters
    ----------
    where : folder or fsspec URL; where there is none, nothing happens

    Raises
    ------
    DataError
        Where it cannot be deleted.
    """
    from fsspec.core import url_to_fs

    place = str(where).rstrip("/")
    with _told(place, "cannot be deleted"):
        system, path = url_to_fs(place)
        if not system.isdir(path):
            return
        for folder in [
            path,
            *(entry["name"] for entry in system.ls(path, detail=True) if entry["type"] == "directory"),
        ]:
            if _is_checkpoint(system, folder):
                system.rm(folder, recursive=True)
        if system.exists(path) and not system.ls(path, refresh=True):
            system.rmdir(path)


def _is_checkpoint(system: Any, folder: str) -> bool:
    """Whether a folder is a Zarr group that says so."""
    head = f"{folder}/zarr.json"
    if not system.exists(head):
        return False
    described = json.loads(system.cat_file(head))
    return isinstance(described, dict) and described.get("attributes", {}).get("kind") == KIND
