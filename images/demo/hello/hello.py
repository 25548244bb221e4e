"""A small web service: says who it is, on which host and node it runs."""

import os
import platform
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "1"


class Hello(BaseHTTPRequestHandler):
    """Answers every GET with one line."""

    def do_GET(self) -> None:
        """Write the line."""
        node = os.environ.get("NODE_NAME", "unknown")
        python = platform.python_version()
        body = f"hello {VERSION}: Python {python} in pod {socket.gethostname()} on node {node}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Hello).serve_forever()
