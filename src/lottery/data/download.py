"""One file from the first mirror that has it, into the cache: whole and checked, or not at all."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from lottery.data.loading_progress import progress_bar
from lottery.data.partial_files import atomic_write
from lottery.data.plain_files import FileError
from lottery.errors import DataError

TIMEOUT_SECONDS = 30.0
"""How long a mirror may be silent."""
_CHUNK = 2**16

Value = TypeVar("Value")


class NotHereError(DataError):
    """A file of a known dataset is not on this machine, and downloading was not allowed.

    Args:
        dataset: its name.
        folders: where it was looked for.
    """

    def __init__(self, dataset: str, folders: Iterable[Path]) -> None:
        places = ", ".join(dict.fromkeys(map(str, folders)))
        super().__init__(f"{dataset} was looked for in {places}; a run downloads it")


class _TransferError(Exception):
    """A mirror did not give the file; the message says why."""


def download(
    urls: Sequence[str],
    target: Path,
    read: Callable[[Path], Value],
    *,
    limit: int,
    looked: Sequence[str] = (),
    progress: bool = True,
) -> Value:
    """Fetch one file into a dataset's folder and return what ``read`` makes of it.

    The file appears only after ``read`` has accepted its bytes. A download that is interrupted,
    even by a kill, leaves none.

    Args:
        urls: addresses of the file, in the order they are tried; http or https.
        target: path of the file once it is complete and checked, in a folder of the dataset's name.
        read: reads a file and raises ``FileError`` if it is not the right one.
        limit: bytes the file may have; a transfer is cut off beyond them.
        looked: where the file was looked for before, one line each, for the error.
        progress: show a bar on the terminal.

    Raises:
        DataError: no mirror has the right file, or the target cannot be written.
    """
    dataset = target.parent.name
    failures = []
    for url in urls:
        bar = f"{dataset}: {target.name} from {urllib.parse.urlsplit(url).netloc}"
        try:
            with atomic_write(target) as file:
                for chunk in _transfer(url, limit, bar, progress):
                    file.write(chunk)
                file.flush()
                return read(Path(file.name))
        except _TransferError as error:
            failures.append(f"{url}: {error}")
        except FileError as error:
            failures.append(f"{url}: what it gave is not the right file: {error.reason}")
        except OSError as error:
            # Trouble with a mirror is a _TransferError: this one is of this machine's disk.
            raise DataError(
                f"{target}: cannot be written ({error.strerror or error}). Make room or give "
                "permission, set XDG_CACHE_HOME to a writable directory, or put the file from "
                f"{url} into DIR/{dataset} and pass --data-dir DIR."
            ) from error
    tried = "\n".join(f"  - {line}" for line in [*looked, *failures])
    raise DataError(
        f"{dataset}: {target.name} was not found and could not be downloaded.\n{tried}\n"
        f"Download it by hand into a folder DIR/{dataset} and pass DIR as the data directory "
        "(--data-dir DIR, or the environment variable LOTTERY_DATA), or use the dataset "
        "'mnist-5k', which needs no download."
    )


def _transfer(url: str, limit: int, bar: str, progress: bool) -> Iterator[bytes]:
    """The bytes at ``url`` as they come; every failure of the transfer is a ``_TransferError``."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "lottery"})
        with closing(urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)) as response:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            received = 0
            with progress_bar(bar, total, visible=progress, in_bytes=True) as advance:
                while chunk := response.read(_CHUNK):
                    received += len(chunk)
                    if received > limit:
                        raise _TransferError(f"cut off: the file has more than {limit:,} bytes")
                    advance(len(chunk))
                    yield chunk
            if total is not None and received != total:
                raise _TransferError(f"the transfer ended after {received:,} of {total:,} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        raise _TransferError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", error))  # a URLError has one
        raise _TransferError(reason or type(error).__name__) from error
