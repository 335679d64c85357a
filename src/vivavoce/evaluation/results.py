"""Results on disk while they are measured, so that an interrupted run goes on where it stopped.

One JSON object a line, appended as it comes; a line that a kill cut short is dropped when the file is opened again.
Each record has a `key`, a hash of all that decides its content, so that a result is only taken up again for exactly the
same settings, clip and software. With a name that ends in `.parquet` the lines are collected in `NAME.parquet.jsonl`,
and become one Parquet file at the end.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from vivavoce.audio import write_whole
from vivavoce.errors import MissingExtraError

Record = dict[str, Any]


def record_key(**decisive: Any) -> str:
    """Hash all that decides the content of a record; values are what JSON can hold."""
    text = json.dumps(decisive, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class ResultFile:
    """Records by key, in memory and in a file; a context manager.

    Args:
        path: The file, `.jsonl` or `.parquet`; None keeps the records in memory only.
        restart: Forget what the file holds.

    Raises:
        ValueError: The file holds something else; the message names it and the line.
        MissingExtraError: A Parquet file is asked for, and pyarrow is not installed.
        OSError: The file cannot be read or written.
    """

    def __init__(self, path: str | Path | None = None, restart: bool = False) -> None:
        self._path = None if path is None else Path(path)
        self._parquet = self._path is not None and self._path.suffix == ".parquet"
        self._records: dict[str, Record] = {}
        self._file: IO[bytes] | None = None
        if self._path is None:
            return
        if self._parquet:
            _pyarrow()
        self._lines = self._path.with_name(f"{self._path.name}.jsonl") if self._parquet else self._path
        if restart:
            self._lines.unlink(missing_ok=True)
        self._load(restart)
        self._file = open(self._lines, "ab")  # noqa: SIM115 - closed by close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(finished=kind is None)

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __getitem__(self, key: str) -> Record:
        return self._records[key]

    def __len__(self) -> int:
        return len(self._records)

    def append(self, record: Record) -> None:
        """Keep a record, and write it before returning; NaN becomes null on disk."""
        self._records[record["key"]] = record
        if self._file is not None:
            self._file.write(_line(record))
            self._file.flush()

    def close(self, finished: bool = True) -> None:
        """Close the file; a Parquet file is written only when the run is finished."""
        if self._file is None or self._path is None:
            return
        self._file.close()
        self._file = None
        if not (self._parquet and finished):
            return
        arrow, parquet = _pyarrow()
        table = arrow.Table.from_pydict(_columns(list(self._records.values())))
        write_whole(self._path, lambda file: parquet.write_table(table, file))
        self._lines.unlink()

    def _load(self, restart: bool) -> None:
        if self._path is None:
            return
        if self._parquet and self._path.exists() and not restart:
            for record in _read_parquet(self._path):
                self._records[record["key"]] = record
        if self._lines.exists():
            for record in _read_lines(self._lines):
                self._records[record["key"]] = record


def _read_lines(path: Path) -> Iterator[Record]:
    """Yield the whole lines, and cut off the last where it is not whole."""
    whole = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict) or not isinstance(record.get("key"), str):
                raise ValueError(f"{path}, line {number}: is no result of an evaluation")
            yield record
    with open(path, "rb+") as file:
        file.truncate(whole)


def _read_parquet(path: Path) -> Iterator[Record]:
    arrow, parquet = _pyarrow()
    try:
        records = parquet.read_table(path).to_pylist()
    except arrow.ArrowException as error:
        raise ValueError(f"{path}: is no Parquet file: {str(error).splitlines()[0]}") from None
    for number, record in enumerate(records, start=1):
        if not isinstance(record.get("key"), str):
            raise ValueError(f"{path}, row {number}: is no result of an evaluation")
        yield {name: _without_missing(value) for name, value in record.items() if value is not None}


def _without_missing(value: Any) -> Any:
    """Undo that Parquet gives every struct the fields of all of them."""
    if isinstance(value, dict):
        return {name: part for name, part in value.items() if part is not None}
    return value


def _columns(records: list[Record]) -> dict[str, list[Any]]:
    """Turn records into columns; a struct without a field, which Parquet cannot hold, is left out."""
    names = dict.fromkeys(name for record in records for name, value in record.items() if value != {})
    return {name: [_parquet_value(record.get(name)) for record in records] for name in names}


def _parquet_value(value: Any) -> Any:
    return None if value == {} else _without_nan(value)


def _line(record: Record) -> bytes:
    return json.dumps(_without_nan(record), allow_nan=False).encode() + b"\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError("evaluate", "pyarrow") from None
