"""A polite crawl: coroutines, a limit that they share, and retries that wait as long as the server asks them to.

The server is a real one. It renders the documentation of the ``email`` package as ``pydoc`` does, and it is a strict
one: who asks for more than 12 pages within a second is told to come back later (429 with ``Retry-After``), and every
fifth page is not ready when it is first asked for (503).

It prints::

    fetched all modules of email, those of email.mime too: True
    asked to come back later, and did: True
    found a page that was not ready, and asked again: True
    never more than 4 requests at once: True
"""

import asyncio
import importlib
import pydoc
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

from cotality.workflow import Limit, RetryPolicy, Workflow, task

# The server --------------------------------------------------------------------------------------------------------


class Site(ThreadingHTTPServer):
    """Gives out a page for each module, to who is patient."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.lock = threading.Lock()
        self.rendering = threading.Lock()
        self.starts: list[float] = []
        self.asked: dict[str, int] = {}
        self.answers: Counter[int] = Counter()
        self.at_once = self.most_at_once = 0

    def verdict(self, page: str) -> int:
        """The status that a request is answered with."""
        with self.lock:
            now = monotonic()
            self.starts = [start for start in self.starts if start > now - 1]
            if len(self.starts) >= 12:
                return 429
            self.starts.append(now)
            first = page not in self.asked
            number = self.asked.setdefault(page, len(self.asked))
            return 503 if first and number % 5 == 4 else 200

    def change(self, by: int) -> None:
        """A request has come, or is answered."""
        with self.lock:
            self.at_once += by
            self.most_at_once = max(self.most_at_once, self.at_once)


class Pages(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.change(+1)
        status = self.server.verdict(self.path)
        body = b""
        if status == 200:
            with self.server.rendering:
                module = importlib.import_module(self.path.strip("/").removesuffix(".html"))
                body = pydoc.html.page(module.__name__, pydoc.html.document(module)).encode()
        self.server.answers[status] += 1
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.server.change(-1)
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Site]:
    with Site() as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            yield site
        finally:
            site.shutdown()


# The crawl ---------------------------------------------------------------------------------------------------------


class Busy(Exception):
    """The server asks to come back later."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(f"the server answered {status}")
        self.retry_after = retry_after


def when_to_come_back(error: Exception) -> bool | float:
    """No, yes, or after so many seconds."""
    if isinstance(error, Busy) and error.retry_after is not None:
        return float(error.retry_after)
    return isinstance(error, (Busy, ConnectionError))


site_limit = Limit("pydoc", concurrency=4, per_second=25)
patiently = RetryPolicy(attempts=20, on=when_to_come_back, wait=0.05)


@task(limits=[site_limit], retries=patiently, timeout=10)
async def fetch(port: int, page: str) -> str:
    """Ask the server for a page."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        writer.write(f"GET /{page} HTTP/1.0\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status != 200:
        later = re.search(rb"Retry-After: (\S+)", head)
        raise Busy(status, later[1].decode() if later else None)
    return body.decode()


@task
def links(package: str, pages: list[str]) -> list[str]:
    """The pages of modules in a package that some pages lead to."""
    found = {link for page in pages for link in re.findall(r'href="([\w.]+\.html)(?:#[^"]*)?"', page)}
    return sorted(link for link in found if re.fullmatch(rf"{re.escape(package)}\.[a-z0-9]+\.html", link))


def main() -> None:
    with serving() as site:
        port = site.server_address[1]
        flow = Workflow("crawl")
        start = fetch(port, "email.html")
        modules = links("email", [start.output])
        pages = flow.map(lambda page: fetch(port, page), modules.output)
        more = links("email.mime", pages.outputs)
        deeper = flow.map(lambda page: fetch(port, page), more.output)
        flow.add(modules, more, pages, deeper)
        run = flow.run()

    found = {*run[modules], *run[more]}
    expected = {"email.message.html", "email.parser.html", "email.mime.html", "email.mime.text.html"}
    whole = expected <= found and all("</html>" in page for page in (*run[pages], *run[deeper]))
    print("fetched all modules of email, those of email.mime too:", whole)
    print("asked to come back later, and did:", site.answers[429] > 0)
    print("found a page that was not ready, and asked again:", site.answers[503] > 0)
    print("never more than 4 requests at once:", site.most_at_once <= 4)


if __name__ == "__main__":
    main()
