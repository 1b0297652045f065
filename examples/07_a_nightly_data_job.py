"""A nightly data job: CSV files through pandas into SQLite. One file is damaged, the others are loaded all the same.

With ``failure="finish"`` whatever does not depend on the failure still runs. ``publish`` comes after all of the loads,
so it is skipped: nothing half is published. The run says what happened to every task.

It prints::

    loaded: asyncio, email, json, logging, unittest
    {'succeeded': 15, 'failed': 1, 'skipped': 3}
    failed: read importlib: ParserError
    skipped: publish, because read importlib failed
"""

import csv
import sqlite3
import sysconfig
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas

from cotality.workflow import Limit, Workflow, task

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
PACKAGES = ("asyncio", "email", "importlib", "json", "logging", "unittest")


def export(package: str, folder: Path) -> Path:
    """Write the facts about a package's source files to a CSV file, as some other program did in the evening."""
    path = folder / f"{package}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["module", "lines", "bytes"])
        for source in sorted((STANDARD_LIBRARY / package).rglob("*.py")):
            code = source.read_bytes()
            writer.writerow([source.relative_to(STANDARD_LIBRARY).as_posix(), code.count(b"\n"), len(code)])
    return path


one_writer = Limit("database", concurrency=1)


@task
def read(path: Path) -> pandas.DataFrame:
    return pandas.read_csv(path)


@task
def clean(package: str, table: pandas.DataFrame) -> pandas.DataFrame:
    """Without empty files, and with the length of a mean line."""
    table = table[table["lines"] > 0]
    return table.assign(package=package, mean=table["bytes"] / table["lines"])


@task(limits=[one_writer])
def load(table: pandas.DataFrame, database: Path) -> int:
    """Append to the database; gives the number of rows."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return table.to_sql("modules", connection, if_exists="append", index=False) or 0


@task
def publish(database: Path) -> Path:
    return database.rename(database.with_suffix(".published"))


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = {package: export(package, folder) for package in PACKAGES}
        # The disk was full: the end of this one is missing.
        files["importlib"].write_bytes(files["importlib"].read_bytes()[:-5])

        database = folder / "facts.db"
        flow = Workflow("nightly", failure="finish", raise_failures=False)
        loads = []
        for package, path in files.items():
            table = read.options(name=f"read {package}")(path)
            loads.append(load(clean(package, table.output).output, database))
        published = flow.add(publish(database).after(*loads))
        run = flow.run()

        with closing(sqlite3.connect(database)) as connection:
            loaded = [row[0] for row in connection.execute("SELECT DISTINCT package FROM modules ORDER BY package")]
    print("loaded:", ", ".join(loaded))
    print(run.counts)
    for outcome in run.failures:
        print(f"{outcome.state}: {outcome.name}: {type(outcome.error).__name__}")
    skipped = run.outcome(published)
    print(f"{skipped.state}: {skipped.name}, because {skipped.first_cause} failed")


if __name__ == "__main__":
    main()
