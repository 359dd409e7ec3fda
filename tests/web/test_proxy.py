"""The upload page behind nginx with TLS, as the sample sets it up."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.support.paths import SAMPLES
from tests.support.served import Serve
from tests.support.waiting import wait_until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
KEY = "a key of sixteen characters"
NAME = "monitors.example.com"
CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


@contextmanager
def nginx(folder: Path, page: str) -> Iterator[int]:
    """Run nginx with the sample in front of a page; yields its port."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = (SAMPLES / "nginx.conf").read_text("utf-8")
    for original, ours in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("http://127.0.0.1:8080", page),
        (f"/etc/ssl/{NAME}.pem", str(certificate)),
        (f"/etc/ssl/{NAME}.key", str(key)),
        ("X-Remote-User $remote_user", 'X-Remote-User "Martha"'),
    ):
        assert original in server
        server = server.replace(original, ours)
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, server=server), "utf-8")
    process = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")], cwd=folder)
    try:
        wait_until(lambda: _accepts(port), process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_the_page_behind_tls_knows_its_user_and_keeps_its_cookie_to_tls(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text(KEY)
    (tmp_path / "key.txt").chmod(0o600)
    server = serve(
        *("--allowed-host", NAME, "--trusted-proxy", "127.0.0.1", "--user-header", "X-Remote-User"),
        BULKLOAD_SERVE_KEY_FILE=str(tmp_path / "key.txt"),
    )
    folder = tmp_path / "nginx"
    folder.mkdir()
    with nginx(folder, server.address.rstrip("/")) as port:
        trust = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
        trust.check_hostname = False  # it is asked for by its address

        def ask(method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str]:
            connection = HTTPSConnection("127.0.0.1", port, context=trust, timeout=60)
            sent = {"Host": NAME, "Content-Type": "application/x-www-form-urlencoded", **headers}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = response.status, response.headers.get("Set-Cookie", ""), response.read().decode()
            connection.close()
            return answer

        status, _, text = ask("GET", "/")
        assert status == 401
        status, cookie, _ = ask("POST", "/login", f"key={KEY.replace(' ', '+')}&next=/", Origin=f"https://{NAME}")
        assert status == 303
        assert {"Secure", "HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
        status, _, text = ask("GET", "/", Cookie=cookie.partition(";")[0])
        assert status == 200
        assert re.search(r"You:</span> <bdi>Martha</bdi>", text)
        status, _, _ = ask("POST", "/login", f"key={KEY}&next=/", Origin="https://evil.example.com")
        assert status == 403
