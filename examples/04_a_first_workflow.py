"""A first workflow: decorate functions, wire them by their outputs, run them together, read the results.

Three tasks need what ``words`` gives, and it runs once. The two that need nothing else run at the same time.

It prints::

    <Workflow 'zen' of 5 tasks>
    Of 147 words 'better' is the most frequent (8 times) and 'implementation' the longest.
    {'succeeded': 5}
"""

import ast
import codecs
import re
import sysconfig
from collections import Counter
from pathlib import Path

from cotality.workflow import Workflow, task

SMALL = {"a", "and", "be", "do", "in", "is", "it", "may", "of", "than", "that", "the", "to"}


@task
def read_poem(path: Path) -> str:
    """The Zen of Python, which its module keeps in rot13."""
    assignment = ast.parse(path.read_text(encoding="utf-8")).body[0]
    assert isinstance(assignment, ast.Assign)
    secret = ast.literal_eval(assignment.value)
    return codecs.decode(secret, "rot13")


@task
def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@task
def most_frequent(words: list[str]) -> tuple[str, int]:
    return Counter(word for word in words if word not in SMALL).most_common(1)[0]


@task
def longest(words: list[str]) -> str:
    return max(words, key=len)


@task
def sentence(words: list[str], frequent: str, times: int, longest: str) -> str:
    return f"Of {len(words)} words {frequent!r} is the most frequent ({times} times) and {longest!r} the longest."


def main() -> None:
    flow = Workflow("zen")
    found = words(read_poem(Path(sysconfig.get_path("stdlib"), "this.py")).output)
    frequent, times = most_frequent(found.output).output
    told = flow.add(sentence(found.output, frequent, times, longest(found.output).output))
    print(flow)
    run = flow.run()
    print(run[told])
    print(run.counts)


if __name__ == "__main__":
    main()
