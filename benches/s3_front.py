"""A front of an S3 server on loopback that is as far away and as narrow as it is told to be, for s3_server.py.

    python benches/s3_front.py PORT SERVER_PORT --delay 20 --gbit 10 --log FILE

Every request waits for so many milliseconds before it goes on; answers of all
connections together come no faster than so many Gbit/s. All bytes pass as they
are, so signatures hold. A line of the log for each request, once it is answered:
when it came, when the last byte went back (by the monotonic clock), the bytes of
the answer with its head, the method, the path and the range.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import time
from typing import TextIO

PIECE = 256 << 10
BURST = 0.002  # seconds of the link's rate that may go at once: sleeping is no more exact than that
HEAD = re.compile(rb"([A-Z]+) (\S+) HTTP/1.1\r\n")
RANGE = re.compile(rb"\r\nrange: *bytes=([0-9-]+)\r\n", re.IGNORECASE)


class Link:
    """What all connections share."""

    def __init__(self, delay: float, rate: float, log: TextIO) -> None:
        self.delay = delay
        self.rate = rate
        self.log = log
        self.free = 0.0

    async def carry(self, count: int) -> None:
        """Waits until so many bytes have gone."""
        if self.rate:
            now = time.monotonic()
            self.free = max(self.free, now - BURST) + count / self.rate
            if self.free > now:
                await asyncio.sleep(self.free - now)


class Exchange:
    """The request under way on a connection; the next one comes only once it is answered."""

    def __init__(self) -> None:
        self.request: str | None = None
        self.began = self.ended = 0.0
        self.bytes = 0

    def write(self, log: TextIO) -> None:
        if self.request:
            print(f"{self.began:.4f} {self.ended:.4f} {self.bytes} {self.request}", file=log, flush=True)
        self.request = None


async def forth(link: Link, exchange: Exchange, client: socket.socket, server: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while piece := await loop.sock_recv(client, PIECE):
        if head := HEAD.match(piece):
            exchange.write(link.log)
            found = RANGE.search(piece)
            exchange.request = b" ".join([*head.groups(), found[1] if found else b"-"]).decode()
            exchange.began, exchange.bytes = time.monotonic(), 0
            if link.delay:
                await asyncio.sleep(link.delay)
        await loop.sock_sendall(server, piece)


async def back(link: Link, exchange: Exchange, client: socket.socket, server: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    piece = memoryview(bytearray(PIECE))
    while count := await loop.sock_recv_into(server, piece):
        await link.carry(count)
        await loop.sock_sendall(client, piece[:count])
        exchange.bytes += count
        exchange.ended = time.monotonic()


async def connection(link: Link, client: socket.socket, port: int) -> None:
    server = socket.socket()
    exchange = Exchange()
    try:
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", port))
        ways = [asyncio.create_task(way(link, exchange, client, server)) for way in (forth, back)]
        # Whoever closes first has said all; reading goes on as long as the other is needed.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    except OSError:
        pass  # it went away in the middle, which is its own affair
    finally:
        exchange.write(link.log)
        client.close()
        server.close()


async def serve(link: Link, port: int, server_port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        listener.setblocking(False)
        connections = set()
        while True:
            client, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(connection(link, client, server_port))
            connections.add(task)
            task.add_done_callback(connections.discard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("server_port", type=int)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds")
    parser.add_argument("--gbit", type=float, default=0, help="no limit when 0")
    parser.add_argument("--log", required=True)
    args = parser.parse_args()
    with open(args.log, "w") as log:
        link = Link(args.delay / 1000, args.gbit * 1e9 / 8, log)
        asyncio.run(serve(link, args.port, args.server_port))


if __name__ == "__main__":
    main()
