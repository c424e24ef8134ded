"""The downloader against a server on this machine: whole and checked, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lottery.data import Request
from lottery.data import download as module
from lottery.data.cache_lock import cache_folder
from lottery.data.checksums import MNIST, KnownFile, load_known
from lottery.data.download import download
from lottery.data.idx import Bytes, encode_idx
from lottery.data.idx_folder import FILES
from lottery.errors import DataError

VALUES = np.arange(200, dtype=np.uint8)
CONTENTS = encode_idx(VALUES)
PACKED = gzip.compress(CONTENTS)
FILE = KnownFile("t10k-labels-idx1-ubyte", len(CONTENTS), hashlib.sha256(CONTENTS).hexdigest())

Answer = Callable[[BaseHTTPRequestHandler], None]


def body(contents: bytes, *, promised: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(contents) if promised is None else promised))
        handler.end_headers()
        handler.wfile.write(contents)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(2**16))
    except OSError:  # the client has had enough
        handler.close_connection = True


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def not_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"what?\r\n")


def redirect(to: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return answer


class Mirror:
    """A server whose answers are set path by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                mirror.answers.get(self.path, missing)(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def gives(self, path: str, answer: Answer) -> str:
        self.answers[path] = answer
        return self.url + path


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, args=(0.01,))
    thread.start()
    yield mirror
    mirror.server.shutdown()
    thread.join()
    mirror.server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mnist" / f"{FILE.name}.gz"


def fetch(urls: list[str], target: Path, *, limit: int = 10_000) -> Bytes:
    return download(urls, target, FILE.read, limit=limit, progress=False)


def left_behind(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir()] if target.parent.exists() else []


class TestSuccess:
    def test_values_and_file(self, mirror: Mirror, target: Path) -> None:
        found = fetch([mirror.gives("/file", body(PACKED))], target)

        np.testing.assert_array_equal(found, VALUES)
        assert target.read_bytes() == PACKED
        assert left_behind(target) == [target.name]

    def test_file_that_the_mirror_does_not_gzip(self, mirror: Mirror, target: Path) -> None:
        np.testing.assert_array_equal(
            fetch([mirror.gives("/file", body(CONTENTS))], target), VALUES
        )

    def test_redirect(self, mirror: Mirror, target: Path) -> None:
        url = mirror.gives("/file", body(PACKED))

        np.testing.assert_array_equal(fetch([mirror.gives("/", redirect(url))], target), VALUES)

    def test_what_a_killed_download_left_is_removed(self, mirror: Mirror, target: Path) -> None:
        target.parent.mkdir()
        target.with_name(f".{target.name}.0123abcd.part").write_bytes(b"half")

        fetch([mirror.gives("/file", body(PACKED))], target)

        assert left_behind(target) == [target.name]

    def test_bar_is_on_standard_error(
        self, mirror: Mirror, target: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = mirror.gives("/file", body(PACKED))

        download([url], target, FILE.read, limit=10_000)

        printed = capsys.readouterr()
        assert printed.out == ""
        assert "mnist" in printed.err

    def test_known_dataset_by_way_of_the_cache(
        self, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("LOTTERY_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        files = []
        for name in FILES:
            shape = (20, 2, 2) if "images" in name else (20,)
            contents = encode_idx(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) % 10)
            mirror.gives(f"/{name}.gz", body(gzip.compress(contents)))
            files.append(KnownFile(name, len(contents), hashlib.sha256(contents).hexdigest()))
        one, two, three, four = files
        dataset = replace(MNIST, files=(one, two, three, four), mirrors=(f"{mirror.url}/",))

        first, second = (
            load_known(dataset, Request(validation=5, progress=False)) for _ in range(2)
        )

        assert first.fingerprint() == second.fingerprint()
        assert mirror.asked == [f"/{name}.gz" for name in FILES]
        assert sorted(left_behind(cache_folder() / "mnist" / "any")) == sorted(
            f"{name}.gz" for name in FILES
        )


WRONG = gzip.compress(encode_idx(VALUES[::-1].copy()))


class TestFailure:
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (missing, "the server answered 404 Not Found"),
            (not_http, "what?"),
            (body(WRONG), "not the right file: expected contents with SHA-256"),
            (body(b"<html>"), "not the right file: .* got 3c 68 74 6d"),
            (body(PACKED[:-9]), "not the right file: expected an IDX file, but it is damaged"),
            (body(PACKED[:50], promised=len(PACKED)), rf"ended after 50 of {len(PACKED)} bytes"),
            (endless, "cut off: the file has more than 10,000 bytes"),
            (redirect("file:///etc/passwd"), "file"),
            (redirect("/"), "redirect"),
        ],
    )
    def test_next_mirror_or_one_error(
        self, mirror: Mirror, target: Path, answer: Answer, reason: str
    ) -> None:
        bad = mirror.gives("/", answer)

        with pytest.raises(DataError, match=f"{bad}: .*{reason}") as caught:
            fetch([bad], target)
        assert "--data-dir DIR" in str(caught.value)
        assert "mnist-5k" in str(caught.value)
        assert left_behind(target) == []

        good = mirror.gives("/good", body(PACKED))
        np.testing.assert_array_equal(fetch([bad, good], target), VALUES)
        assert left_behind(target) == [target.name]

    def test_every_mirror_is_named(self, mirror: Mirror, target: Path) -> None:
        urls = [mirror.gives("/one", missing), mirror.gives("/two", body(WRONG))]

        with pytest.raises(DataError) as caught:
            download(urls, target, FILE.read, limit=999, looked=["DIR: no file"], progress=False)

        lines = str(caught.value).splitlines()
        assert lines[1] == "  - DIR: no file"
        assert lines[2].startswith(f"  - {urls[0]}: ")
        assert lines[3].startswith(f"  - {urls[1]}: ")
        assert ".part" not in str(caught.value)

    def test_nobody_answers(self, mirror: Mirror, target: Path) -> None:
        mirror.server.socket.close()

        with pytest.raises(DataError, match="could not be downloaded"):
            fetch([mirror.url], target)

    def test_silent_mirror(
        self, mirror: Mirror, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = threading.Event()

        def silent(handler: BaseHTTPRequestHandler) -> None:
            over.wait(10)

        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.05)
        url = mirror.gives("/", silent)

        with pytest.raises(DataError, match="timed out"):
            fetch([url], target)
        over.set()

    def test_no_address(self, target: Path) -> None:
        with pytest.raises(DataError, match="unknown url type"):
            fetch(["nonsense"], target)

    def test_interrupt_leaves_no_file(self, mirror: Mirror, target: Path) -> None:
        def interrupted(path: Path) -> Bytes:
            assert path.read_bytes() == PACKED
            assert not target.exists()
            raise KeyboardInterrupt

        url = mirror.gives("/", body(PACKED))

        with pytest.raises(KeyboardInterrupt):
            download([url], target, interrupted, limit=999, progress=False)

        assert left_behind(target) == []

    def test_unwritable_cache(self, mirror: Mirror, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        url = mirror.gives("/", body(PACKED))

        with pytest.raises(DataError, match=r"cannot be written .* set XDG_CACHE_HOME"):
            fetch([url], tmp_path / "file" / "mnist" / "any.gz")
