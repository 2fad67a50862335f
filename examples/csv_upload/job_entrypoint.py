import base64
import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict


class Statistics(TypedDict):
    count: int
    empty: int
    lowest: float
    highest: float
    mean: float
    deviation: float


class JobEntrypoint:
    """Sums up one column of a CSV file."""

    def perform(self, table: BinaryIO, column: str) -> Statistics:
        """
        Sum up a column. The file is read line by line, however long it is.
        :param table: A CSV file in UTF-8, with names in its first line.
        :param column: One of these names.
        :return: Of the numbers in it: how many, lowest, highest, mean and standard deviation.
        """
        count = empty = 0
        lowest, highest, mean, squares = math.inf, -math.inf, 0.0, 0.0
        for value in numbers(table, column):
            if value is None:
                empty += 1
                continue
            count += 1
            lowest, highest = min(lowest, value), max(highest, value)
            # Mean and squares so far, by Welford's method: no row has to be kept.
            distance = value - mean
            mean += distance / count
            squares += distance * (value - mean)
        if not count:
            raise ValueError(f"table: there are no numbers in {column}")
        return {
            "count": count,
            "empty": empty,
            "lowest": lowest,
            "highest": highest,
            "mean": round(mean, 6),
            "deviation": round(math.sqrt(squares / count), 6),
        }

    def docs_input_example(self) -> dict[str, str]:
        # In JSON, a file is base64.
        return {"table": base64.b64encode(Path("weather.csv").read_bytes()).decode(), "column": "degrees"}


def numbers(table: BinaryIO, column: str) -> Iterator[float | None]:
    """The numbers in a column, None where it is empty. Raises ValueError for a table that is wrong."""
    rows = csv.DictReader(io.TextIOWrapper(table, encoding="utf-8-sig", newline=""))
    try:
        names = rows.fieldnames or []
        if column not in names:
            raise ValueError(f"column: expected one of {', '.join(names)}")
        for row in rows:
            yield number(row[column], rows.line_num) if row[column] else None
    except csv.Error as error:
        raise ValueError(f"table: line {rows.line_num}: {error}") from error


def number(text: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"table: line {line}: expected a number, got {text[:40]!r}")
    return value
