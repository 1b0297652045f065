"""Functions that log and warn, for the suite on what tasks say; in a module of their own, as a program's are."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

import structlog

from cotality.parallel import CurrentTask, Task, current_task, run
from cotality.workflow import task
from tests.contract.functions import note_and_fail_until, note_and_wait_for

log = logging.getLogger("speakers.log")
entries = structlog.get_logger("speakers.entries")


class Hostile:
    """Can neither be shown nor pickled."""

    def __repr__(self) -> NoReturn:
        raise ValueError("hostile")

    def __reduce__(self) -> NoReturn:
        raise ValueError("hostile")


def count_aloud(number: int, upto: int) -> int:
    log.debug("nobody wants to know: %s", Hostile())
    for step in range(upto):
        log.info("task %d, step %d", number, step)
    return number


def tell_of_an_error(number: int) -> None:
    try:
        raise ConnectionError(f"number {number}")
    except ConnectionError:
        log.exception("it failed")


def fail_aloud_until(path: str, attempts: int) -> int:
    log.info("one more attempt")
    return note_and_fail_until(path, attempts)


def log_oddly() -> str:
    log.info("arguments: %s", Hostile())
    log.info(Hostile())
    log.info("extra", extra={"hostile": Hostile(), "kept": {"a": 1}})
    log.info("clash", extra={"task": "mine", "index": "mine"})
    log.info("%s of %s", "text", Path("path"))
    return "done"


def log_in_a_thread() -> None:
    for _ in range(100):
        thread = threading.Thread(target=log.info, args=("from a thread",))
        thread.start()
        log.info("from the task")
        thread.join()


def log_as(name: str) -> None:
    logging.getLogger(name).info("by %s", name)


def log_to_a_file_too(path: str) -> None:
    own = logging.FileHandler(path)
    log.addHandler(own)
    try:
        log.info("in both places")
    finally:
        log.removeHandler(own)
        own.close()


def log_and_wait(path: str, other: str) -> bool:
    log.info("before")
    return note_and_wait_for(path, "ready", other, 20)


def log_from_a_fork() -> int:
    """Fork, log in the child, and log on here when that has ended."""
    child = os.fork()
    if child == 0:
        log.info("from the child")
        warnings.warn("from the child", stacklevel=1)
        os._exit(0)
    os.waitpid(child, 0)
    log.info("from the task")
    return child


def enter(number: int) -> None:
    entries.debug("unheard", number=number)
    structlog.contextvars.bind_contextvars(within=number)
    bound = entries.bind(bound="yes")
    bound.info("heard", number=number, hostile=Hostile())
    try:
        raise ConnectionError("lost")
    except ConnectionError:
        bound.exception("failed")


def enter_further_down(number: int) -> int:
    """Enter something in a process of this worker's own."""
    structlog.contextvars.bind_contextvars(outer=number)
    run([Task(enter, {"number": number})], backend="processes", max_workers=1)
    return number


def warn_often(number: int) -> int:
    for _ in range(3):
        warnings.warn("the same everywhere", DeprecationWarning, stacklevel=1)
    return number


def warn_of(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=1)


def which(number: int) -> Any:
    return current_task()


@task
def named(number: int) -> int:
    log.info("number %d", number)
    return number


@task
async def named_later(number: int) -> CurrentTask | None:
    import asyncio

    log.info("before")
    await asyncio.sleep(0.01)
    log.info("after")
    return current_task()


def set_up_logging(path: str) -> None:
    logging.basicConfig(filename=path, level="DEBUG", format="%(levelname)s %(message)s")


def set_up_nothing() -> None:
    log.warning("getting ready")
    logging.getLogger("speakers.noisy").setLevel("ERROR")
    logging.getLogger().setLevel("WARNING")


def print_to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def kill_after_printing(text: str) -> None:
    print(text)
    os.kill(os.getpid(), signal.SIGKILL)


def log_for(seconds: float) -> int:
    """How many lines."""
    until = time.monotonic() + seconds
    lines = 0
    while time.monotonic() < until:
        log.info("line %d", lines)
        lines += 1
    return lines


def let_broken_pipes_end_it() -> None:
    """As command line tools are set up."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def kill_after_speaking(text: str, times: int) -> None:
    for n in range(times):
        log.info("%s %d", text, n)
    kill_after_printing(text)


def print_elsewhere(path: str) -> None:
    """Set up a worker whose standard output is another one than its parent's."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.close(file)


def look_at_stdout() -> dict[str, Any]:
    print("before")
    return {
        "bytes": sys.stdout.buffer.write(b""),
        "fileno": sys.stdout.fileno() >= 0,
        "encoding": bool(sys.stdout.encoding),
        "isatty": sys.stdout.isatty(),
    }


def how_it_is_set_up() -> dict[str, Any]:
    """What of a worker's set-up a guest might leave changed."""
    config = structlog.get_config()
    return {
        "levels": [logging.getLogger(name).level for name in ("", "speakers", "speakers.log")],
        "handlers": [type(handler).__name__ for handler in logging.root.handlers],
        "structlog": (structlog.is_configured(), [_name(config[key]) for key in ("wrapper_class", "logger_factory")]),
        "processors": len(config["processors"]),
        "showwarning": warnings.showwarning.__module__,
        "stdout": type(sys.stdout).__module__,
    }


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{getattr(thing, '__name__', type(thing).__name__)}"


def speak_meanwhile(path: str) -> None:
    """Set up a worker in which somebody else speaks, into a file, for as long as it lives."""
    file = open(path, "a", buffering=1)  # noqa: SIM115
    sys.stdout = file
    logging.basicConfig(stream=file, level="INFO", format="%(message)s", force=True)
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
        logger_factory=structlog.PrintLoggerFactory(file),
    )

    def speak() -> None:
        while True:
            logging.getLogger("speakers.others").info("theirs in a log")
            structlog.get_logger().info("theirs, entered")
            print("theirs, printed")
            time.sleep(0.01)

    threading.Thread(target=speak, daemon=True).start()


def listen_to_others(path: str) -> None:
    """Speak, and wait until the others have spoken after that."""
    print("mine")
    size = os.path.getsize(path)
    while os.path.getsize(path) < size + 400:
        time.sleep(0.01)
