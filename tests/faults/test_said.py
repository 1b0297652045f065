"""What tasks log and warn, where workers die, modules set up logs of their own, and nobody listens."""

from __future__ import annotations

import pytest

from tests.faults.harness import Run
from tests.faults.test_crashes import CRASHES
from tests.forks import METHODS

TALK = """
import logging, os, signal, time, warnings

log = logging.getLogger("talk")

def talk_and_die(number, how):
    for step in range(50):
        log.info("task %d, step %d", number, step)
    if how:
        exec(how)
    return number

def talk_for_ever():
    while True:
        log.info("still here")
        time.sleep(0.01)

def flood(lines):
    for number in range(lines):
        log.info("line %d %s", number, "x" * 1000)
    return lines

def shout(size):
    log.info("x" * size)
    return size

def late_import():
    import later
    log.info("after the import")
    return later.VALUE

def log_to_a_file_too():
    log.addHandler(logging.FileHandler("own"))
    import later
    log.info("after the import")
"""

HEARD = """
import logging
from talk import *

class Keep(logging.Handler):
    def __init__(self):
        super().__init__()
        self.heard = []
    def emit(self, record):
        self.heard.append((getattr(record, "index", None), record.getMessage()))

keep = Keep()
logging.getLogger("talk").addHandler(keep)
logging.getLogger("talk").setLevel("INFO")
"""


@pytest.mark.parametrize("crash", CRASHES)
def test_what_was_logged_before_a_worker_died_is_heard(run: Run, crash: str) -> None:
    how, _name = CRASHES[crash]
    run(
        HEARD
        + f"""
def main():
    tasks = [Task(talk_and_die, {{"number": n, "how": {how!r} if n % 4 == 1 else ""}}) for n in range(8)]
    execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
    for n in range(8):
        equal([text for index, text in keep.heard if index == n], [f"task {{n}}, step {{s}}" for s in range(50)])
    equal(len(keep.heard), 400)
""",
        modules={"talk": TALK},
    )


def test_what_was_logged_before_a_timeout_is_heard(run: Run) -> None:
    run(
        HEARD
        + """
def main():
    (error,) = execute([Task(talk_for_ever, {})], use_processes=True, timeout=0.5, return_exceptions=True)
    equal(type(error), errors.TaskTimeout)
    assert len(keep.heard) > 5
    equal(set(keep.heard), {(0, "still here")})
""",
        modules={"talk": TALK},
    )


@pytest.mark.parametrize("method", METHODS)
def test_what_modules_set_up_counts_for_nothing_in_workers(run: Run, method: str) -> None:
    """Each line stands there once, though the main module and others set up logging when a worker imports them."""
    setup = """
import logging, sys
logging.basicConfig(level="DEBUG", format="wrong %(message)s", force=True)
logging.getLogger("talk").addHandler(logging.StreamHandler())
logging.getLogger("talk").setLevel("ERROR")
logging.getLogger("talk").propagate = False
logging.disable(logging.CRITICAL)
VALUE = 5
"""
    run(
        f"""
        import logging, later
        from talk import log, shout, late_import, talk_and_die
        from cotality.parallel import ProcessExecutor
        logging.getLogger("elsewhere").addHandler(logging.StreamHandler())

        def from_main(number):
            log.info("from main %d", number)
            log.debug("never")

        def main():
            logging.disable(logging.NOTSET)
            logging.basicConfig(level="WARNING", format="right %(task)s %(message)s", force=True)
            talk = logging.getLogger("talk")
            talk.handlers.clear()
            talk.propagate = True
            talk.setLevel("INFO")
            with ProcessExecutor(1, start_method={method!r}) as pool:
                execute([Task(shout, {{"size": 3}}), Task(late_import, {{}})], backend=pool)
                execute([Task(from_main, {{"number": n}}) for n in range(2)], backend=pool)
        """,
        modules={"talk": TALK, "later": setup},
        stderr="right shout xxx\nright late_import after the import\nright from_main from main 0\n"
        "right from_main from main 1\n",
    )


def test_what_a_task_sets_up_outlasts_its_imports(run: Run) -> None:
    run(
        HEARD
        + """
from cotality.parallel import ProcessExecutor

def main():
    with ProcessExecutor(1) as pool:
        execute([Task(log_to_a_file_too, {}), Task(shout, {"size": 3})], backend=pool)
    equal(keep.heard, [(0, "after the import"), (1, "xxx")])
    equal(open("own").read(), "after the import\\nxxx\\n")
""",
        modules={"talk": TALK, "later": "import logging\nlogging.basicConfig(level='ERROR', force=True)"},
    )


def test_nobody_listens(run: Run) -> None:
    """As everywhere: warnings are printed, and what is less serious is not."""
    run(
        """
        import logging

        def say():
            logging.getLogger("say").info("unheard")
            logging.getLogger("say").warning("heard")

        def main():
            execute([Task(say, {})], use_processes=True)
        """,
        stderr="heard\n",
    )


def test_a_flood_meets_a_consumer_that_waits(run: Run) -> None:
    """The worker waits until it is heard; nothing is lost, and nothing is stuck."""
    run(
        HEARD
        + """
def main():
    tasks = [Task(flood, {"lines": 5000}) for n in range(4)]
    for index, lines in streaming(tasks, max_workers=2, use_processes=True):
        time.sleep(0.2)
        equal(lines, 5000)
    equal(len(keep.heard), 20_000)
    keep.heard.clear()
    equal(execute([Task(shout, {"size": 5_000_000})] * 3, use_processes=True), [5_000_000] * 3)
    equal([len(text) for _index, text in keep.heard], [5_000_000] * 3)
""",
        modules={"talk": TALK},
    )


def test_the_word_that_a_task_has_ended_comes_behind_what_it_has_said(run: Run) -> None:
    """It may be read while the parent looks for the latter, and does not come twice."""
    run(
        HEARD
        + """
def wait_for_the_end(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "receive" and frame.f_back.f_code.co_name == "_hear":
        sys.setprofile(None)
        # The worker ends its batch meanwhile, and says so.
        time.sleep(0.3)
        waited.append(True)

waited = []

def main():
    # Nothing is to be imported while it waits.
    execute([Task(flood, {"lines": 3})], use_processes=True)
    while not waited:
        sys.setprofile(wait_for_the_end)
        equal(execute([Task(flood, {"lines": 300})], use_processes=True), [300])
        sys.setprofile(None)
""",
        modules={"talk": TALK},
    )


def test_a_stream_is_left_while_tasks_flood(run: Run) -> None:
    run(
        HEARD
        + """
def main():
    tasks = [Task(flood, {"lines": 1 if n == 0 else 10_000_000}) for n in range(4)]
    for index, lines in streaming(tasks, max_workers=2, use_processes=True, ordered=False):
        break
    equal(lines, 1)
    began = time.monotonic()
    equal(execute([Task(flood, {"lines": 1})], use_processes=True), [1])
    assert time.monotonic() - began < 5
""",
        modules={"talk": TALK},
    )


def test_a_handler_that_is_interrupted(run: Run) -> None:
    run(
        HEARD
        + """
class Interrupt(logging.Handler):
    def emit(self, record):
        raise KeyboardInterrupt

def main():
    interrupt = Interrupt()
    log.addHandler(interrupt)
    equal(type(raised(lambda: execute([Task(flood, {"lines": 3})] * 3, use_processes=True))), KeyboardInterrupt)
    log.removeHandler(interrupt)
    equal(execute([Task(flood, {"lines": 1})], use_processes=True), [1])
""",
        modules={"talk": TALK},
    )
