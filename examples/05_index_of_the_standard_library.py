"""Find, parse, merge: a map over a list that is known only at run time, in processes.

``find`` runs in a thread and gives the list of files; ``flow.map`` makes a task for each of them when it is there;
``merge`` gets all of their results.

It prints::

    ThreadPoolExecutor is defined in concurrent/futures/thread.py
    JSONDecoder is defined in json/decoder.py
    TestCase is defined in unittest/case.py
    more than 1000 classes in more than 300 files: True
"""

import ast
import sysconfig
from pathlib import Path

from cotality.workflow import Workflow, task

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
OTHERS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3"}


@task
def find(folder: Path) -> list[Path]:
    """The source files below a folder, without tests and installed packages."""
    found = (path.relative_to(folder) for path in folder.rglob("*.py"))
    return sorted(path for path in found if OTHERS.isdisjoint(path.parts))


@task(backend="processes")
def classes_of(folder: Path, path: Path) -> dict[str, str]:
    """The public classes of a source file, each with where it is defined."""
    tree = ast.parse((folder / path).read_bytes())
    names = (node.name for node in tree.body if isinstance(node, ast.ClassDef))
    return {name: path.as_posix() for name in names if not name.startswith("_")}


@task
def merge(indexes: list[dict[str, str]]) -> dict[str, str]:
    return {name: place for index in reversed(indexes) for name, place in index.items()}


def main() -> None:
    flow = Workflow("index")
    files = flow.add(find(STANDARD_LIBRARY))
    parsed = flow.map(lambda path: classes_of(STANDARD_LIBRARY, path), files.output)
    index = flow.add(merge(parsed.outputs))

    run = flow.run()
    for name in ("ThreadPoolExecutor", "JSONDecoder", "TestCase"):
        print(name, "is defined in", run[index][name])
    print("more than 1000 classes in more than 300 files:", len(run[index]) > 1000 and len(run[files]) > 300)


if __name__ == "__main__":
    main()
