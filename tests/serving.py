"""A web server with one file, on the loopback interface, for tests of what is fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Server:
    """A web server with one file; `requests` holds the Range of each request."""

    def __init__(
        self,
        content: bytes,
        *,
        ranges: bool = True,
        stop_after: int | None = None,
        tag: str | None = None,
    ) -> None:
        self.content, self.ranges, self.stop_after, self.tag = content, ranges, stop_after, tag
        self.requests: list[str | None] = []

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Send the file, or what is asked for of it, or only its first `stop_after` bytes."""
        asked = request.headers.get("Range")
        self.requests.append(asked)
        start = int(asked[len("bytes=") : -1]) if asked and self.ranges else 0
        if request.headers.get("If-Range", self.tag) != self.tag:
            start = 0  # another file than that of which a part is there
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(self.content) - start))
        if self.tag is not None:
            request.send_header("ETag", self.tag)
        request.end_headers()
        request.wfile.write(self.content[start : self.stop_after])


@contextmanager
def serving(server: Server, name: str) -> Iterator[str]:
    """Serve on the loopback interface; the address of the file, which has this name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/{name}"
        finally:
            http.shutdown()
            thread.join()
