"""Datasets of Hugging Face: with a stand-in for its package, and with the package itself."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from lottery.data import DataConfig, Dataset, describe_dataset, load_dataset
from lottery.errors import DataError, MissingPackageError, UsageError
from lottery.testing import DATASET_CHECKS


class Image:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Value:
    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class Sequence:
    pass


class Table:
    """Rows as the package keeps them."""

    def __init__(self, features: dict[str, Any], rows: list[dict[str, Any]], mark: str) -> None:
        self.features, self.rows, self._fingerprint = features, rows, mark

    def cast_column(self, column: str, feature: Image) -> Table:
        assert not feature.decode, "images are to be taken encoded"
        return Table(self.features | {column: feature}, self.rows, self._fingerprint)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        return [row[column] for row in self.rows]


def png(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


FEATURES = {"picture": Image(), "kind": ClassLabel(["cat", "dog"]), "note": Value("string")}


def table(count: int, seed: int, features: dict[str, Any] | None = None) -> Table:
    rows = [
        {
            "picture": {"bytes": png(1_000 * seed + n), "path": None},
            "kind": n % 2,
            "note": ["b", "a"][n % 2],
        }
        for n in range(count)
    ]
    return Table(features or FEATURES, rows, f"mark-{seed}-{count}")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, dict[str, Table]]:
    """What the stand-in for the package can load: name -> parts."""
    known: dict[str, dict[str, Table]] = {}

    def load(path: str, configuration: str | None = None) -> dict[str, Table]:
        name = path if configuration is None else f"{path} {configuration}"
        if name not in known:
            raise FileNotFoundError(f"no dataset {name}")
        return known[name]

    fake: Any = ModuleType("datasets")
    fake.load_dataset, fake.Image = load, Image
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return known


def load(name: str = "hf:pets", validation: int = 5, **options: Any) -> Dataset:
    return load_dataset(DataConfig(name=name, validation=validation, **options), progress=False)


def test_images_and_classes(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets"] = {"train": table(21, 1), "test": table(9, 2)}

    data = load()

    assert (len(data.train), len(data.validation), len(data.test)) == (16, 5, 9)
    assert (data.classes, data.input_shape, data.name) == (2, (3, 4, 5), "hf:pets")
    for number, (image, label) in enumerate(zip(data.test.inputs, data.test.targets, strict=True)):
        with Pillow.open(io.BytesIO(png(2_000 + number))) as expected:
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), np.asarray(expected))
        assert int(label) == number % 2
    for check in DATASET_CHECKS:
        check(data)


def test_a_configuration_after_a_colon(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets small"] = {"train": table(21, 1), "test": table(9, 2)}

    assert len(load("hf:pets:small").test) == 9


def test_what_measures(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets"] = {"train": table(21, 1), "validation": table(7, 3)}
    assert len(load().test) == 7

    unlabelled = table(9, 2)
    for row in unlabelled.rows:
        row["kind"] = -1
    hub["pets"] = {"train": table(21, 1), "test": unlabelled, "validation": table(7, 3)}
    assert len(load().test) == 7

    with_note = load().notes
    assert with_note == (
        "hf:pets: no example of its part 'test' has a class, so it does not measure",
    )

    hub["pets"] = {"train": table(100, 1)}
    data = load()
    assert data.notes == ()
    assert 2 < len(data.test) < 25
    assert len(data.train) + len(data.validation) + len(data.test) == 100


@pytest.mark.parametrize("part", ["train", "test", "validation"])
@pytest.mark.parametrize("label", [-1, None, 7])
def test_a_part_with_one_bad_class_is_an_error_that_names_it(
    hub: dict[str, dict[str, Table]], part: str, label: int | None
) -> None:
    counts = {"train": 21, part: 9}
    hub["pets"] = {name: table(count, 1) for name, count in counts.items()}
    hub["pets"][part].rows[4]["kind"] = label

    expected = rf"part '{part}', but 1 of 9 has another or none: example 4 \({label}\)"
    with pytest.raises(DataError, match=expected):
        load()


def test_a_class_by_its_text_that_training_does_not_have(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets"] = {"train": table(21, 1), "test": table(9, 2)}
    hub["pets"]["test"].rows[2]["note"] = "c\x1b[2J"

    with pytest.raises(DataError, match=r"part 'test', but 1 of 9 .*: example 2 \('c\\x1b\[2J'\)"):
        load(label_column="note")


@pytest.mark.parametrize(
    ("column", "feature", "said"),
    [
        (
            "label_column",
            Value("float64"),
            r"expected classes, .* \(data.label_column\), got Value fl",
        ),
        ("label_column", Value("timestamp[s]"), "got Value timestamp"),
        ("label_column", Sequence(), "got Sequence; there are picture"),
        ("label_column", Image(), "got Image;"),
        (
            "image_column",
            Value("int64"),
            r"expected images .* \(data.image_column\), got Value int64",
        ),
        ("image_column", ClassLabel(["a"]), "got ClassLabel;"),
        ("image_column", Sequence(), "got Sequence;"),
    ],
)
def test_columns_of_another_kind(
    hub: dict[str, dict[str, Table]], column: str, feature: Any, said: str
) -> None:
    features = FEATURES | {"odd": feature}
    hub["pets"] = {"train": table(21, 1, features), "test": table(9, 2, features)}
    stated: dict[str, Any] = {"image_column": "picture", "label_column": "kind"} | {column: "odd"}

    with pytest.raises(UsageError, match=said):
        load(**stated)


def test_one_class(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets"] = {"train": table(21, 1)}
    for row in hub["pets"]["train"].rows:
        row["note"] = "a"

    with pytest.raises(DataError, match="expected at least 2 classes in 'note', got 1"):
        load(label_column="note")


def test_of_a_tenth_that_measures_every_class_has_examples(
    hub: dict[str, dict[str, Table]],
) -> None:
    hub["pets"] = {"train": table(40, 1, FEATURES | {"kind": ClassLabel(list("abcdefgh"))})}
    for row, values in enumerate(hub["pets"]["train"].rows):
        values["kind"] = row % 8

    data = load(validation=8)

    for split in (data.train, data.validation, data.test):
        assert split.targets.unique().tolist() == list(range(8))


def test_columns_that_are_stated(hub: dict[str, dict[str, Table]]) -> None:
    features = FEATURES | {"other": Image()}
    train, test = (table(21, 1, features), table(9, 2, features))
    hub["pets"] = {"train": train, "test": test}

    with pytest.raises(UsageError, match=r"one column of type Image, got 2; .* data.image_column"):
        load()
    assert load(image_column="picture").classes == 2
    named = load(image_column="picture", label_column="note")
    # Classes are values in order: "a" is 0.
    assert named.test.targets.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    with pytest.raises(
        UsageError, match=r"no column 'kinds' in its part 'train'; there are picture \(Image\)"
    ):
        load(image_column="picture", label_column="kinds")


def test_changed_data_are_decoded_anew(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets"] = {"train": table(21, 1), "test": table(9, 2)}
    before = load().fingerprint()
    assert load().fingerprint() == before

    hub["pets"] = {"train": table(21, 4), "test": table(9, 2)}

    assert load().fingerprint() != before


def test_images_in_files_and_images_that_are_missing(
    hub: dict[str, dict[str, Table]], tmp_path: Path
) -> None:
    (tmp_path / "1.png").write_bytes(png(7))
    hub["pets"] = {"train": table(21, 1), "test": table(9, 2)}
    rows = hub["pets"]["test"].rows
    rows[0]["picture"] = {"bytes": None, "path": str(tmp_path / "1.png")}
    assert len(load().test) == 9

    hub["pets"]["test"]._fingerprint = "another"
    rows[1]["picture"] = None
    rows[2]["picture"] = {"bytes": None, "path": str(tmp_path / "nothing.png")}
    rows[3]["picture"] = {"bytes": b"nonsense", "path": None}
    with pytest.raises(DataError, match="3 of 30 images") as caught:
        load()
    for number in (1, 2):
        assert f"hf:pets, test example {number}: it has no image" in str(caught.value)
    assert "hf:pets, test example 3: damaged" in str(caught.value)


@pytest.mark.parametrize("parts", [{"test": 9}, {}])
def test_no_training_part(hub: dict[str, dict[str, Table]], parts: dict[str, int]) -> None:
    hub["pets"] = {name: table(count, 1) for name, count in parts.items()}

    with pytest.raises(DataError, match="expected a part 'train'"):
        load()


def test_training_examples_without_a_class(hub: dict[str, dict[str, Table]]) -> None:
    hub["pets"] = {"train": table(21, 1)}
    hub["pets"]["train"].rows[3]["kind"] = -1

    with pytest.raises(
        DataError, match=r"part 'train', but 1 of 21 has another or none: example 3 \(-1\)"
    ):
        load()


def test_a_name_that_is_not_there(hub: dict[str, dict[str, Table]]) -> None:
    with pytest.raises(
        DataError, match=r"hf:pets: .*cannot load it \(FileNotFoundError: no dataset pets\)"
    ):
        load()
    with pytest.raises(UsageError, match="known only once it is loaded"):
        describe_dataset("hf:pets")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(MissingPackageError, match=r"'hf:pets' needs .* pip install 'lottery\[data"):
        load()


NUMBERS = {
    "age": Value("int64"),
    "kind": ClassLabel(["no", "yes"]),
    "note": Value("string"),
    "height": Value("float32"),
    "same": Value("bool"),
}


def numbers(count: int, seed: int) -> Table:
    generator = np.random.default_rng(seed)
    rows = [
        {
            "age": int(generator.integers(18, 90)),
            "kind": n % 2,
            "note": "text",
            "height": float(generator.normal(170, 10)),
            "same": True,
        }
        for n in range(count)
    ]
    return Table(NUMBERS, rows, f"numbers-{seed}-{count}")


def test_numeric_columns(hub: dict[str, dict[str, Table]]) -> None:
    train, test = numbers(40, 1), numbers(9, 2)
    hub["adult"] = {"train": train, "test": test}

    data = load("hf:adult")

    for check in DATASET_CHECKS:
        check(data)
    assert (len(data.train), len(data.validation), len(data.test)) == (35, 5, 9)
    assert (data.input_shape, data.classes, data.class_names) == ((3,), 2, ("no", "yes"))
    values = {c: np.array(train[c], float) for c in ("age", "height")}
    expected = [
        [(row[c] - values[c].mean()) / values[c].std() for c in values] + [0] for row in test.rows
    ]
    np.testing.assert_allclose(data.test.inputs, expected, rtol=1e-4, atol=1e-4)
    assert data.notes == ("hf:adult: an example is its age, height, same; passed over: note",)


def test_numeric_columns_of_which_a_tenth_measures(hub: dict[str, dict[str, Table]]) -> None:
    hub["adult"] = {"train": numbers(100, 1)}

    data = load("hf:adult")

    assert 2 < len(data.test) < 25
    assert len(data.train) + len(data.validation) + len(data.test) == 100


def test_a_number_that_is_missing(hub: dict[str, dict[str, Table]]) -> None:
    hub["adult"] = {"train": numbers(40, 1), "test": numbers(9, 2)}
    hub["adult"]["test"].rows[3]["height"] = None

    with pytest.raises(DataError, match=r"test: expected a number in 'height' .* 1 of 9 have none"):
        load("hf:adult")


def test_text_alone(hub: dict[str, dict[str, Table]]) -> None:
    features = {"text": Value("string"), "kind": ClassLabel(["cat", "dog"])}
    hub["reviews"] = {"train": Table(features, [{"text": "a", "kind": 0}] * 9, "text")}

    with pytest.raises(UsageError, match=r"are text \(Value string\).* gives token ids"):
        load("hf:reviews")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_numbers_by_the_package_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="the package 'datasets' is not installed")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    (tmp_path / "adult").mkdir()
    for part, count in (("train", 40), ("test", 9)):
        table = numbers(count, count)
        columns = {name: table[name] for name in NUMBERS}
        rows = datasets.Dataset.from_dict(columns)
        getattr(rows, f"to_{form}")(tmp_path / "adult" / f"{part}.{form}")

    data = load(f"hf:{tmp_path / 'adult'}", label_column="kind")

    assert (len(data.train), len(data.validation), len(data.test)) == (35, 5, 9)
    assert data.input_shape == (3,)
    assert data.test.targets.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]


def test_the_package_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small dataset on disk, without a network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="the package 'datasets' is not installed")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "share": datasets.Value("float32"),
            "boxes": [datasets.Value("int64")],
        }
    )
    (tmp_path / "pets").mkdir()
    for part, count in (("train", 21), ("test", 9)):
        columns = {
            "image": [{"bytes": png(n), "path": None} for n in range(count)],
            "label": [n % 2 for n in range(count)],
            "share": [n / 2 for n in range(count)],
            "boxes": [[n, n] for n in range(count)],
        }
        rows = datasets.Dataset.from_dict(columns, features=features)
        rows.to_parquet(tmp_path / "pets" / f"{part}.parquet")

    data = load(f"hf:{tmp_path / 'pets'}")

    assert (len(data.train), len(data.validation), len(data.test)) == (16, 5, 9)
    assert data.test.targets.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    with Pillow.open(io.BytesIO(png(0))) as expected:
        np.testing.assert_array_equal(data.test.inputs[0].permute(1, 2, 0).numpy(), expected)
    for column in ("share", "boxes"):
        with pytest.raises(UsageError, match=f"classes, integers or text in the column '{column}'"):
            load(f"hf:{tmp_path / 'pets'}", label_column=column)
        with pytest.raises(UsageError, match=f"bytes or paths in the column '{column}'"):
            load(f"hf:{tmp_path / 'pets'}", image_column=column)
