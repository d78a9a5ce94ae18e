"""A report on an S3 server on loopback, for run.py: SeaweedFS, as the tests run it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

BUCKET = "report"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "secret-of-bench", "AWS_REGION": "us-east-1"}
PATIENCE = 60  # seconds


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, at the moment."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def command(ports: Sequence[int]) -> list[str]:
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = ports
    line = (
        "-logtostderr server -dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false"
        f" -master.port={master} -master.port.grpc={master_grpc} -volume.port={volume} -volume.port.grpc={volume_grpc}"
        f" -filer -filer.port={filer} -filer.port.grpc={filer_grpc} -s3 -s3.port={s3} -s3.port.grpc={s3_grpc}"
        " -s3.config=identities.json -filer.localSocket=filer.sock -s3.localSocket=s3.sock -s3.port.iceberg=0"
        " -s3.port.lance=0 -s3.iam=false -iam=false -volume.max=1000 -master.volumeSizeLimitMB=1024"
    )
    return [str(Path(sys.executable).with_name("weed")), *line.split()]


@dataclass(frozen=True)
class Request:
    """One that the front has passed on and that was answered."""

    came: float
    answered: float
    bytes: int
    method: str
    path: str
    range: str


@dataclass
class Front:
    """A way to the server, as far and as narrow as it was asked for: see s3_front.py."""

    environment: Mapping[str, str]
    log: Path
    read: int = 0

    def requests(self) -> list[Request]:
        """Those since the last call."""
        time.sleep(0.1)  # the last ones are noted once their connections are closed
        lines = self.log.read_text().splitlines()
        lines, self.read = lines[self.read :], len(lines)
        return [Request(float(came), float(answered), int(count), *rest) for came, answered, count, *rest in map(str.split, lines)]


@contextmanager
def front(server: Mapping[str, str], delay: float, gbit: float) -> Iterator[Front]:
    """A front of a running server that delays every request by milliseconds and carries no more than Gbit/s."""
    (port,) = free_ports(1)
    behind = server["AWS_ENDPOINT_URL_S3"].rpartition(":")[2]
    with tempfile.TemporaryDirectory(prefix="brimful-bench-") as place:
        log = Path(place) / "log"
        line = [sys.executable, str(Path(__file__).with_name("s3_front.py")), str(port), behind]
        process = subprocess.Popen([*line, "--delay", str(delay), "--gbit", str(gbit), "--log", str(log)])
        try:
            await_port(port)
            yield Front({**server, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}, log)
        finally:
            process.terminate()
            process.wait()


def await_port(port: int) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > give_up:
                sys.exit("s3_server.py: its front does not answer")
            time.sleep(0.05)


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Uploads a folder; gives its address, and the variables by which to reach it."""
    with tempfile.TemporaryDirectory(prefix="brimful-bench-") as place:
        identity = {"name": "bench", "credentials": [{"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}], "actions": ["Admin", "Read", "Write", "List"]}
        (Path(place) / "identities.json").write_text(json.dumps({"identities": [identity]}))
        ports = free_ports(8)
        with (Path(place) / "log").open("wb") as log:
            server = subprocess.Popen(command(ports), cwd=place, stdout=log, stderr=log)
        try:
            environment = {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports[6]}", "NO_PROXY": "127.0.0.1"}
            # In a process of its own, since the one that measures must stay small.
            subprocess.run([sys.executable, __file__, str(home), environment["AWS_ENDPOINT_URL_S3"]], check=True, stdout=sys.stderr)
            yield f"s3://{BUCKET}/", environment
        finally:
            server.terminate()
            server.wait()


def upload(home: Path, endpoint: str) -> None:
    """Every file below `home`, once the server takes any."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    session = Session()
    session.set_credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}, proxies={})
    client = session.create_client("s3", region_name=KEYS["AWS_REGION"], endpoint_url=endpoint, config=config)
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
            client.delete_object(Bucket=BUCKET, Key="ready")
            break
        except (BotoCoreError, ClientError) as error:
            # A bucket made by an earlier try is no reason to stop.
            if time.monotonic() > give_up:
                sys.exit(f"s3_server.py: SeaweedFS does not answer: {error}")
            time.sleep(0.5)
            try:
                client.delete_bucket(Bucket=BUCKET)
            except (BotoCoreError, ClientError):
                pass
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        with file.open("rb") as body:
            client.put_object(Bucket=BUCKET, Key=str(file.relative_to(home)), Body=body)


if __name__ == "__main__":
    upload(Path(sys.argv[1]), sys.argv[2])
