"""Random images of two classes in folders and tar files, and datasets of them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from lottery.data import (
    DataConfig,
    Dataset,
    load_dataset,
)

Pixels = np.typing.NDArray[np.uint8]


def pictures(seed: int = 0, shape: tuple[int, int] = (6, 7)) -> dict[str, Pixels]:
    """Random images of two classes by their names."""
    random = np.random.default_rng(seed)
    return {
        f"{part}/{label}/{number}.png": random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        for part, count in (("train", 9), ("test", 4))
        for label in ("cat", "dog")
        for number in range(count)
    }


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def fill(folder: Path, images: dict[str, Pixels]) -> Path:
    for name, pixels in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(pixels))
    return folder


def tar_of(path: Path, images: dict[str, Pixels]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, pixels in images.items():
            member, values = tarfile.TarInfo(name), png(pixels)
            member.size = len(values)
            tar.addfile(member, io.BytesIO(values))
    return path


def load(place: Path, validation: int = 5, size: int = 0) -> Dataset:
    kind = "folder" if place.is_dir() else "tar"
    config = DataConfig(name=f"{kind}:{place}", validation=validation, image_size=size)
    return load_dataset(config, progress=False)


def held(dataset: Dataset, *splits: str) -> dict[bytes, int]:
    """Image -> class, of some splits."""
    return {
        image.numpy().tobytes(): int(label)
        for name in splits
        for image, label in zip(
            getattr(dataset, name).inputs, getattr(dataset, name).targets, strict=True
        )
    }
