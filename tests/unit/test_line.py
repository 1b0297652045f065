"""What is told at once, over real sockets: who is listened to, and what becomes of what could not be told."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest

from cotality.parallel._backends.futures import line as module
from cotality.parallel._backends.futures import speaking as other_end
from cotality.parallel._backends.futures.home import MACHINE
from cotality.parallel._backends.futures.line import Line
from cotality.parallel._backends.futures.speaking import Leash, Speaking
from cotality.parallel._backends.futures.way import HEADER, HELLO, LOOPBACK, Way
from tests.forks import needs_forks


@pytest.fixture
def line() -> Iterator[Line]:
    """One that listens."""
    with closing(Line(LOOPBACK)) as line:
        line.start()
        yield line


@pytest.fixture
def heard() -> list[tuple[int, bytes]]:
    """What was heard."""
    return []


def hear(heard: list[tuple[int, bytes]]) -> Any:
    return lambda place, message: heard.append((place, message))


def test_what_is_told_is_heard_in_order_when_the_batch_is_over(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way = line.expect(hear(heard))
    told = [(n % 7, b"x" * (n * n)) for n in range(1000)]
    with closing(Speaking(way)) as speaking:
        assert all(speaking.say(place, message) for place, message in told)
        line.settle(way.number, len(told))
        assert heard == told


def test_what_a_batch_has_told_that_died_is_heard_when_that_is_known(
    line: Line, heard: list[tuple[int, bytes]]
) -> None:
    way = line.expect(hear(heard))
    told = [(n, b"x" * 10_000) for n in range(200)]
    speaking = Speaking(way)
    assert all(speaking.say(place, message) for place, message in told)
    assert speaking._connection is not None
    # In the midst of a message.
    speaking._connection.sendall(HEADER.pack(0, 100) + b"half")
    speaking.close()
    line.settle(way.number, None)
    assert heard == told


def test_batches_are_told_apart(line: Line) -> None:
    each: list[list[tuple[int, bytes]]] = [[], [], []]
    ways = [line.expect(hear(heard)) for heard in each]
    batches = [Speaking(way) for way in ways]
    for n in range(50):
        for number, speaking in enumerate(batches):
            assert speaking.say(n, b"%d" % number)
    for way, speaking in zip(ways, batches, strict=True):
        line.settle(way.number, 50)
        speaking.close()
    assert each == [[(n, b"%d" % number) for n in range(50)] for number in range(3)]


def test_a_stranger_is_not_listened_to(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way = line.expect(hear(heard))
    with socket.create_connection((way.host, way.port), 5) as stranger:
        stranger.sendall(HELLO.pack(b"guess".ljust(16), way.number, False) + HEADER.pack(0, 1) + b"x")
        # The end, or an error, by how much of it had been read.
        with suppress(ConnectionError):
            assert stranger.recv(1) == b""
    line.settle(way.number, None)
    assert heard == []


def test_what_comes_when_the_batch_is_over_is_heard_by_nobody(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way, other = line.expect(hear(heard)), line.expect(hear(heard))
    with closing(Speaking(way)) as late:
        assert late.say(0, b"in time")
        line.settle(way.number, 1)
        assert late.say(0, b"late")
    line.settle(other.number, None)
    assert heard == [(0, b"in time")]


def test_when_the_run_is_over_nothing_can_be_told(heard: list[tuple[int, bytes]]) -> None:
    line = Line(LOOPBACK)
    line.start()
    with closing(Speaking(line.expect(hear(heard)))) as speaking:
        assert speaking.say(0, b"x")
        line.close()
        until = time.monotonic() + 10
        while speaking.say(0, b"y"):
            assert time.monotonic() < until
        assert not Speaking(speaking._way).say(0, b"z")


def test_a_caller_that_does_not_answer_is_given_up_once_for_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_end, "CONNECT_SECONDS", 0.2)
    with socket.create_server((LOOPBACK, 0)) as silent:
        way = Way(LOOPBACK, silent.getsockname()[1], MACHINE, b"0" * 16, 0)
        assert not Speaking(way).say(0, b"x")
        started = time.monotonic()
        assert not Speaking(way).say(0, b"x")
        assert time.monotonic() - started < 0.1


def test_behind_a_wall_nobody_knocks_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_end, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(other_end, "_unreachable", {})
    host = "127.0.0.2"
    with ExitStack() as opened:
        walled, other = (opened.enter_context(socket.create_server((host, 0), backlog=0)) for _ in range(2))
        # As many as wait to be let in: the next one gets no answer.
        opened.enter_context(socket.create_connection(walled.getsockname()))
        way = Way(host, walled.getsockname()[1], MACHINE, b"0" * 16, 0)
        assert not Speaking(way).say(0, b"x")
        started = time.monotonic()
        assert not Speaking(way._replace(port=other.getsockname()[1])).say(0, b"x")
        assert time.monotonic() - started < 0.1


def test_nobody_tries_to_reach_the_loopback_address_of_another_machine(line: Line) -> None:
    way = line.expect(hear([]))
    assert not Speaking(way._replace(machine="another")).say(0, b"x")
    with closing(Speaking(way)) as speaking:
        assert speaking.say(0, b"x")


def test_a_caller_that_was_busy_once_is_tried_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    way = line.expect(hear([]))
    other_end._give_up((way.host, way.port))
    assert not Speaking(way).say(0, b"x")
    monkeypatch.setattr(other_end, "FORGET_SECONDS", 0.0)
    other_end._give_up((way.host, way.port))
    with closing(Speaking(way)) as speaking:
        assert speaking.say(0, b"x")


def test_where_sockets_are_forbidden_nothing_is_told(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(Exception):
        pass

    def forbid(*_arguments: Any, **_options: Any) -> Any:
        raise Forbidden

    way = line.expect(hear([]))
    monkeypatch.setattr(socket, "create_connection", forbid)
    assert not Speaking(way).say(0, b"x")
    with Leash(way):
        assert not line.end(way.number)


def test_who_speaks_waits_until_the_caller_has_caught_up(heard: list[tuple[int, bytes]]) -> None:
    told = 3 * 1024
    with closing(Line(LOOPBACK, lambda: len(heard) > 10)) as line:
        line.start()
        way = line.expect(hear(heard))
        with closing(Speaking(way)) as speaking:
            speaker = threading.Thread(target=lambda: [speaking.say(0, b"x" * 10_000) for _ in range(told)])
            speaker.start()
            until = time.monotonic() + 10
            while len(heard) <= 10:
                assert time.monotonic() < until
                time.sleep(0.001)
            speaker.join(0.3)
            assert speaker.is_alive()
            assert len(heard) < told / 2
            # As the caller does who takes them.
            while speaker.is_alive():
                heard.clear()
                speaker.join(0.001)
            heard.clear()
            line.settle(way.number, told)
            assert not line._expected


def test_all_that_a_batch_has_told_is_read_when_it_is_over_however_far_the_caller_is_behind(
    heard: list[tuple[int, bytes]],
) -> None:
    with closing(Line(LOOPBACK, lambda: bool(heard))) as line:
        line.start()
        for dies in (False, True):
            heard.clear()
            way = line.expect(hear(heard))
            speaking = Speaking(way)
            told = 0
            # As much as goes into the buffers of the kernel: the thread reads no more after the first.
            while told < 400:
                assert speaking.say(0, b"x" * 1000)
                told += 1
            if dies:
                speaking.close()
            line.settle(way.number, None if dies else told)
            assert len(heard) == told
            speaking.close()


def test_a_thread_that_sees_by_itself_that_the_run_is_over_is_not_missed(heard: list[tuple[int, bytes]]) -> None:
    line = Line(LOOPBACK)
    line.start()
    with closing(Speaking(line.expect(hear(heard)))) as speaking:
        assert speaking.say(0, b"before")
        line._is_closed = True
        speaking.say(0, b"after, if it is awake")
        assert line._over.wait(10)
    line._over.open()
    line.close()


def test_a_run_that_ends_in_the_thread_of_its_line_waits_for_nobody() -> None:
    # As a collection of garbage may have it.
    line = Line(LOOPBACK)
    line.start()
    ended = threading.Event()

    def end(_place: int, _message: bytes) -> None:
        line.close()
        ended.set()

    with closing(Speaking(line.expect(end))) as speaking:
        assert speaking.say(0, b"x")
        assert ended.wait(10)
    assert line._over.wait(10)


@needs_forks
def test_a_forked_child_lets_go_of_its_copies_alone(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way = line.expect(hear(heard))
    with closing(Speaking(way)) as speaking:
        assert speaking.say(0, b"before")
        child = os.fork()
        if not child:
            line.settle(way.number, None)
            line.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert speaking.say(0, b"after")
        line.settle(way.number, 2)
    assert heard == [(0, b"before"), (0, b"after")]


def test_no_more_than_some_strangers_are_held(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way = line.expect(hear(heard))
    with ExitStack() as opened:
        strangers = [
            opened.enter_context(socket.create_connection((way.host, way.port)))
            for _ in range(module.MOST_STRANGERS + 20)
        ]
        strangers[0].settimeout(10)
        assert strangers[0].recv(1) == b""
        with closing(Speaking(way)) as speaking:
            assert speaking.say(0, b"x")
            line.settle(way.number, 1)
    assert heard == [(0, b"x")]


def test_one_that_never_began_ends_at_once() -> None:
    before = os.listdir("/proc/self/fd")
    Line(LOOPBACK).close()
    assert os.listdir("/proc/self/fd") == before


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """As if the process may have only so many more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 64, limits[1]))
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        for descriptor in held[-count:] if count else ():
            os.close(descriptor)
            held.remove(descriptor)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in held:
            os.close(descriptor)


def test_nothing_is_left_open_where_no_descriptor_is_left_to_listen() -> None:
    before = os.listdir("/proc/self/fd")
    for count in range(4):
        with descriptors_left(count), pytest.raises(OSError, match="Too many open files"):
            Line(LOOPBACK)
    assert os.listdir("/proc/self/fd") == before


def test_where_no_descriptor_is_left_for_a_batch_it_is_not_let_in(heard: list[tuple[int, bytes]]) -> None:
    with closing(Line(LOOPBACK)) as line:
        line.start()
        way = line.expect(hear(heard))
        # One for the batch, none for the caller, who is the same process here.
        with descriptors_left(1), closing(Speaking(way)) as speaking:
            assert not speaking.say(0, b"x")
        line.settle(way.number, 0)
    assert heard == []


@contextmanager
def on_a_leash(way: Way) -> Iterator[subprocess.Popen[str]]:
    """A process in which a batch runs that never ends, until it reads a line; says so when it has begun."""
    program = f"""
        import signal, sys
        from cotality.parallel._backends.futures.speaking import Leash
        from cotality.parallel._backends.futures.way import Way
        with Leash(Way(*{tuple(way)!r})):
            # As command line tools do: a broken pipe ends them.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            print("begun", flush=True)
            sys.stdin.readline()
        print("over", flush=True)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def test_a_worker_on_a_leash_can_be_ended(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way = line.expect(hear(heard))
    assert not line.end(way.number)
    with on_a_leash(way) as process:
        assert line.end(way.number)
        assert process.wait(10) == -signal.SIGKILL
    line.settle(way.number, None)


def test_a_worker_whose_batch_is_over_lives_on(line: Line, heard: list[tuple[int, bytes]]) -> None:
    way = line.expect(hear(heard))
    with on_a_leash(way) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "over\n"
        assert line.end(way.number)
        line.settle(way.number, 0)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(10) == 0


def test_a_worker_on_a_leash_ends_with_the_run(heard: list[tuple[int, bytes]]) -> None:
    line = Line(LOOPBACK)
    line.start()
    with on_a_leash(line.expect(hear(heard))) as process:
        line.close()
        assert process.wait(10) == -signal.SIGKILL
