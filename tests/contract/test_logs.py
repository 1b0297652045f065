"""What tasks log and warn is heard in the caller's configuration, wherever they run."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from cotality.parallel import CurrentTask, ProcessExecutor, Task, current_task, run, stream
from cotality.parallel.foreseeing import capabilities_of
from cotality.workflow import Workflow
from tests.contract import speakers
from tests.contract.functions import give, note
from tests.forks import needs_forks


class Listener(logging.Handler):
    """Remembers what it hears of the speakers."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("speakers"):
            self.records.append(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def heard() -> Iterator[Listener]:
    listener = Listener()
    before = logging.root.level
    logging.root.addHandler(listener)
    logging.root.setLevel("INFO")
    yield listener
    logging.root.removeHandler(listener)
    logging.root.setLevel(before)


@pytest.fixture
def entered() -> Iterator[list[dict[str, Any]]]:
    """What structlog is given, as the caller has configured it."""
    found: list[dict[str, Any]] = []

    def keep(_logger: Any, method: str, facts: Any) -> Any:
        if facts.get("kind", "speaker") == "speaker" and facts["event"].partition(".")[0] not in ("run", "task"):
            found.append({**facts, "method": method})
        raise structlog.DropEvent

    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    yield found
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def shares_objects(backend: Any) -> bool:
    able = capabilities_of(backend)
    assert able is not None
    return able.shares_objects


def facts(record: Any) -> tuple[Any, ...]:
    return record.task, record.index, record.attempt


# logging -------------------------------------------------------------------------------------------------------------


def test_records_arrive_in_order_and_say_which_task_they_are_of(backend: Any, heard: Listener) -> None:
    run([Task(speakers.count_aloud, {"number": n, "upto": 20}) for n in range(30)], backend=backend, max_workers=2)
    for n in range(30):
        mine: list[Any] = [record for record in heard.records if record.index == n]  # type: ignore[attr-defined]
        assert [record.getMessage() for record in mine] == [f"task {n}, step {step}" for step in range(20)]
        assert {facts(record) for record in mine} == {("count_aloud", n, 1)}
        assert {record.levelname for record in mine} == {"INFO"}
        assert {(record.funcName, record.filename) for record in mine} == {("count_aloud", "speakers.py")}
        assert {record.args for record in mine} == {(n, step) for step in range(20)}
    assert len(heard.records) == 600
    ids = {record.run for record in heard.records}  # type: ignore[attr-defined]
    assert len(ids) == 1
    assert {record.workflow for record in heard.records} == {None}  # type: ignore[attr-defined]


def test_a_record_is_heard_before_the_result_of_its_task_is_handed_out(backend: Any, heard: Listener) -> None:
    tasks = [Task(speakers.count_aloud, {"number": n, "upto": 3}) for n in range(200)]
    for index, _number in stream(tasks, ordered=False, backend=backend, max_workers=2):
        assert f"task {index}, step 2" in heard.messages


def test_a_record_is_heard_while_its_task_runs(parallel_backend: Any, heard: Listener, tmp_path: Path) -> None:
    path = str(tmp_path / "notes")

    class Answer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "speakers.log":
                note(path, "heard")

    answer = Answer()
    logging.root.addHandler(answer)
    try:
        task = Task(speakers.log_and_wait, {"path": path, "other": "heard"})
        assert run([task], backend=parallel_backend, max_workers=2) == [True]
    finally:
        logging.root.removeHandler(answer)


def test_attempts_are_numbered(backend: Any, heard: Listener, tmp_path: Path) -> None:
    task = Task(speakers.fail_aloud_until, {"path": str(tmp_path / "notes"), "attempts": 3})
    assert run([Task(give, {"value": 1}), task], backend=backend, retries=3) == [1, 3]
    assert [facts(record) for record in heard.records] == [("fail_aloud_until", 1, n) for n in (1, 2, 3)]


def test_records_of_a_workflow_name_it(backend: Any, heard: Listener) -> None:
    flow = Workflow("loud", backend=backend)
    node = flow.add(speakers.named.options(name="chosen")(7))
    run = flow.run()
    (record,) = heard.records
    assert (record.run, record.workflow, *facts(record)) == (run.id, "loud", "chosen", 0, 1)  # type: ignore[attr-defined]
    assert run[node] == 7


def test_an_exception_comes_along(backend: Any, heard: Listener) -> None:
    run([Task(speakers.tell_of_an_error, {"number": 4})], backend=backend)
    (record,) = heard.records
    text = logging.Formatter().format(record)
    assert re.search(r'it failed\nTraceback.*speakers\.py", line \d+, in tell_of_an_error.*number 4$', text, re.DOTALL)
    assert record.exc_info is not None
    assert record.exc_info[0] is ConnectionError


def test_what_can_not_travel_or_be_shown_does_no_harm(backend: Any, heard: Listener) -> None:
    if shares_objects(backend):
        pytest.skip("there nothing travels, and what can not be shown is the handlers' affair")
    assert run([Task(speakers.log_oddly, {})], backend=backend) == ["done"]
    by_event = {record.msg: record for record in heard.records if isinstance(record.msg, str)}
    assert by_event["extra"].kept == {"a": 1}  # type: ignore[attr-defined]
    clash: Any = by_event["clash"]
    assert (clash.task, clash.index, clash.attempt) == ("mine", "mine", 1)
    assert len(heard.records) == 5
    assert heard.records[-1].getMessage() == "text of path"


def test_levels_are_those_of_the_caller_as_they_change(backend: Any, heard: Listener) -> None:
    def say(*names: str) -> list[str]:
        heard.records.clear()
        run([Task(speakers.log_as, {"name": name}) for name in names], backend=backend, max_workers=1)
        return [record.name for record in heard.records]

    names = "speakers.one", "speakers.two", "speakers.two.part", "speakers.three"
    assert say(*names) == list(names)
    logging.getLogger("speakers.two").setLevel("WARNING")
    logging.getLogger("speakers.three").disabled = True
    try:
        assert say(*names) == ["speakers.one"]
    finally:
        logging.getLogger("speakers.two").setLevel("NOTSET")
        logging.getLogger("speakers.three").disabled = False
    assert say(*names) == list(names)
    logging.disable(logging.INFO)
    try:
        assert say(*names) == []
    finally:
        logging.disable(logging.NOTSET)
    assert say(*names) == list(names)


def test_handlers_and_filters_of_the_caller_are_asked_once(backend: Any, heard: Listener) -> None:
    apart = Listener()
    logger = logging.getLogger("speakers.apart")
    asked: list[str] = []
    logger.addHandler(apart)
    logger.addFilter(lambda record: not asked.append(record.getMessage()))  # type: ignore[func-returns-value]
    logger.propagate = False
    try:
        run([Task(speakers.log_as, {"name": "speakers.apart"})], backend=backend)
    finally:
        logger.propagate = True
        logger.handlers.clear()
        logger.filters.clear()
    assert apart.messages == asked == ["by speakers.apart"]
    assert heard.messages == []


def test_a_handler_that_raises_does_not_break_the_run(backend: Any, heard: Listener) -> None:
    def refuse(_record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter that fails")

    if shares_objects(backend):
        pytest.skip("there it is raised where the task logs, as everywhere")
    logging.getLogger("speakers.log").addFilter(refuse)
    try:
        tasks = [Task(speakers.count_aloud, {"number": n, "upto": 2}) for n in range(3)]
        assert run(tasks, backend=backend) == [0, 1, 2]
    finally:
        logging.getLogger("speakers.log").removeFilter(refuse)


def test_threads_of_a_task_are_heard(relaying_backend: Any, heard: Listener) -> None:
    run([Task(speakers.log_in_a_thread, {})] * 2, backend=relaying_backend, max_workers=2)
    assert sorted(heard.messages) == ["from a thread"] * 200 + ["from the task"] * 200


def test_a_handler_of_the_tasks_own_works(backend: Any, heard: Listener, tmp_path: Path) -> None:
    run([Task(speakers.log_to_a_file_too, {"path": str(tmp_path / "log")})], backend=backend)
    assert (tmp_path / "log").read_text() == "in both places\n"
    assert heard.messages == ["in both places"]


def test_coroutines_are_told_apart(heard: Listener) -> None:
    flow = Workflow("later")
    parts = flow.map(speakers.named_later, range(20))
    run = flow.run()
    assert [found.index for found in run[parts]] == list(range(1, 21))  # type: ignore[union-attr]
    for n in range(1, 21):
        mine = [record.msg for record in heard.records if record.index == n]  # type: ignore[attr-defined]
        assert mine == ["before", "after"]


def test_the_current_task_is_known_and_none_elsewhere() -> None:
    assert current_task() is None
    for backend in ("serial", "threads"):
        found = run([Task(speakers.which, {"number": n}) for n in range(3)], backend=backend)
        assert found == [CurrentTask(found[0].run, None, "which", n, 1) for n in range(3)]
    assert current_task() is None


# structlog -----------------------------------------------------------------------------------------------------------


def test_entries_of_structlog_arrive_with_the_context_of_the_caller(
    backend: Any, entered: list[dict[str, Any]]
) -> None:
    structlog.contextvars.bind_contextvars(request="r-1")
    run([Task(speakers.enter, {"number": n}) for n in range(6)], backend=backend, max_workers=2)
    assert len(entered) == 12
    for n in range(6):
        told, failed = (entry for entry in entered if entry["index"] == n)
        assert told.pop("run") == failed.pop("run")
        del told["hostile"]
        common = {"request": "r-1", "task": "enter", "index": n, "attempt": 1, "within": n, "bound": "yes"}
        assert told == {**common, "event": "heard", "number": n, "method": "info"}
        assert re.search(r"in enter\n.*ConnectionError: lost$", failed.pop("exception"), re.DOTALL)
        assert failed == {**common, "event": "failed", "method": "error"}


def test_entries_of_runs_inside_of_tasks_arrive(backend: Any, entered: list[dict[str, Any]]) -> None:
    assert run([Task(speakers.enter_further_down, {"number": 3})], backend=backend) == [3]
    told, failed = entered
    assert (told["event"], told["task"], told["within"], told["bound"]) == ("heard", "enter", 3, "yes")
    assert failed["event"] == "failed"


def test_structlog_on_top_of_logging_says_which_task(backend: Any, heard: Listener) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        run([Task(speakers.enter, {"number": 5})], backend=backend)
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    first: Any = heard.records[0]
    assert [record.getMessage() for record in heard.records] == ["heard", "failed"]
    assert (first.name, first.number, first.within, *facts(first)) == ("speakers.entries", 5, 5, "enter", 0, 1)


# warnings ------------------------------------------------------------------------------------------------------------


def test_a_warning_is_shown_once_for_all_workers(backend: Any) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        tasks = [Task(speakers.warn_often, {"number": n}) for n in range(20)]
        assert run(tasks, backend=backend, max_workers=2) == list(range(20))
    (warning,) = [each for each in shown if each.category is DeprecationWarning]
    assert str(warning.message) == "the same everywhere"
    assert Path(warning.filename).name == "speakers.py"


def test_filters_of_the_caller_decide(backend: Any) -> None:
    tasks = [Task(speakers.warn_of, {"text": "careful"})]
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        run(tasks * 3, backend=backend, max_workers=2)
        assert [str(each.message) for each in shown] == ["careful"] * 3
        warnings.filterwarnings("ignore", "care")
        run(tasks * 3, backend=backend, max_workers=2)
        assert len(shown) == 3
        warnings.filterwarnings("error", category=RuntimeWarning)
        (error,) = run(tasks, backend=backend, return_exceptions=True)
        assert type(error) is RuntimeWarning
        assert len(shown) == 3


# Processes -----------------------------------------------------------------------------------------------------------


def test_what_an_initializer_sets_up_is_left_alone(heard: Listener, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with ProcessExecutor(1, initializer=speakers.set_up_logging, initargs=(str(path),)) as pool:
        run([Task(speakers.count_aloud, {"number": 1, "upto": 2})], backend=pool)
    assert heard.messages == []
    assert path.read_text().splitlines()[-2:] == ["INFO task 1, step 0", "INFO task 1, step 1"]


def test_an_initializer_that_sets_up_no_handler_is_heard(heard: Listener) -> None:
    with ProcessExecutor(1, initializer=speakers.set_up_nothing) as pool:
        run([Task(speakers.log_as, {"name": name}) for name in ("speakers.noisy", "speakers.other")], backend=pool)
        logging.getLogger("speakers.other").setLevel("INFO")
        try:
            run([Task(speakers.log_as, {"name": name}) for name in ("speakers.noisy", "speakers.other")], backend=pool)
        finally:
            logging.getLogger("speakers.other").setLevel("NOTSET")
    assert heard.messages == ["getting ready", "by speakers.other"]


@needs_forks
def test_a_child_that_a_task_has_forked_does_not_speak_for_it(heard: Listener, capfd: Any) -> None:
    run([Task(speakers.log_from_a_fork, {})] * 2, backend="processes", max_workers=1)
    assert heard.messages == ["from the task"] * 2


def test_futures_are_heard_too(heard: Listener) -> None:
    with ProcessExecutor(1) as pool:
        pool.submit(speakers.count_aloud, 3, 2).result()
    assert [(record.getMessage(), facts(record)[0]) for record in heard.records] == [
        ("task 3, step 0", "count_aloud"),
        ("task 3, step 1", "count_aloud"),
    ]


def test_what_tasks_print_goes_where_the_caller_prints(backend: Any) -> None:
    tasks = [Task(print, {"end": end}, positional=("one", 2)) for end in ("\n", "", ".\n")]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        run(tasks, backend=backend, max_workers=1)
        run([Task(speakers.print_to_stderr, {"text": "to the other one"})], backend=backend, max_workers=1)
    assert out.getvalue() == "one 2\none 2one 2.\n"
    assert err.getvalue() == "to the other one\n"


@pytest.mark.parametrize("where", ["processes", "spawn", pytest.param("fork", marks=needs_forks)])
def test_what_was_printed_before_a_worker_dies_is_there(where: str, pools: dict[str, Any]) -> None:
    elsewhere = io.StringIO()
    with contextlib.redirect_stdout(elsewhere):
        task = Task(speakers.kill_after_printing, {"text": "last words"})
        run([task], backend=pools.get(where, where), return_exceptions=True)
    assert elsewhere.getvalue() == "last words\n"


def test_a_stream_that_is_told_is_still_a_stream(backend: Any) -> None:
    if shares_objects(backend):
        pytest.skip("there it is the caller's own")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        (facts,) = run([Task(speakers.look_at_stdout, {})], backend=backend)
    assert out.getvalue() == "before\n"
    # Bytes have a way out, though not to where text goes.
    assert facts == {"bytes": 0, "fileno": True, "encoding": True, "isatty": False}
