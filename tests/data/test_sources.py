"""Images come from folders and tar files whole, each with its class, or with what is wrong."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from lottery.data import sources
from lottery.data.sources import EncodedImages, folder_source, tar_source
from lottery.errors import DataError


def fill(folder: Path, *names: str) -> Path:
    """Files that hold their own names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return folder


def tar_of(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return path


def contents(source: EncodedImages) -> list[str]:
    """What each image holds, in the order of their numbers."""
    found = {image.number: os.fsdecode(image.contents or b"") for image in source.read()}
    assert sorted(found) == list(range(len(source.train) + len(source.test)))
    return [found[number] for number in sorted(found)]


PLAIN = ("train/cat/1.jpg", "train/dog/2.png", "train/dog/1.JPEG", "test/cat/9.jpg")


class TestFolder:
    def test_every_image_comes_with_its_class(self, tmp_path: Path) -> None:
        source = folder_source(fill(tmp_path, *PLAIN)).open()

        assert contents(source) == [
            "train/cat/1.jpg",
            "train/dog/1.JPEG",
            "train/dog/2.png",
            "test/cat/9.jpg",
        ]
        assert (source.train, source.test, source.classes) == ((0, 1, 1), (0,), ("cat", "dog"))

    def test_other_files_and_hidden_ones_are_passed_over(self, tmp_path: Path) -> None:
        more = ("train/cat/notes.txt", "train/cat/._1.jpg", "train/.hidden/1.jpg", "README.md")

        assert contents(folder_source(fill(tmp_path, *PLAIN, *more)).open()) == contents(
            folder_source(fill(tmp_path / "again", *PLAIN)).open()
        )

    def test_links_to_folders_of_classes_are_followed_and_circles_are_not(
        self, tmp_path: Path
    ) -> None:
        fill(tmp_path / "elsewhere", "1.jpg", "2.jpg")
        fill(tmp_path / "data", *PLAIN)
        (tmp_path / "data" / "train" / "bird").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path / "data")
        os.mkfifo(tmp_path / "data" / "train" / "cat" / "pipe.jpg")

        source = folder_source(tmp_path / "data").open()

        assert source.classes == ("bird", "cat", "dog")
        assert source.train == (0, 0, 1, 2, 2)

    @pytest.mark.parametrize("where", ["train/cat", "flowers/train/dog", "dog", "flowers/dog"])
    def test_a_link_to_a_folder_of_a_class_is_followed(self, tmp_path: Path, where: str) -> None:
        fill(tmp_path / "elsewhere", "7.jpg", "8.jpg")
        link = tmp_path / "data" / where
        fill(link.parent / "bird", *(f"{n}.jpg" for n in range(50)))
        link.symlink_to(tmp_path / "elsewhere")
        fill(tmp_path / "elsewhere").joinpath("back").symlink_to(tmp_path / "data")

        source = folder_source(tmp_path / "data").open()

        assert len(source.train) + len(source.test) == 52
        assert source.classes == ("bird", link.name)

    @pytest.mark.parametrize("where", ["back", "cat/back", "w/train/back", "w/train/cat/back"])
    def test_a_link_that_leads_back_is_not(self, tmp_path: Path, where: str) -> None:
        folder = fill(tmp_path / "data", *(PLAIN if where[0] != "w" else ()))
        fill(folder / ("w" if where[0] == "w" else "."), *PLAIN)
        (folder / where).parent.mkdir(exist_ok=True)
        (folder / where).symlink_to(folder)

        assert len(folder_source(folder).open().train) == 3

    @pytest.mark.parametrize("suffix", ["jfif", "JPE"])
    def test_seldom_names_of_a_common_format(self, tmp_path: Path, suffix: str) -> None:
        source = folder_source(fill(tmp_path, *PLAIN, f"train/cat/5.{suffix}")).open()

        assert len(source.train) == 4

    def test_links_that_lead_nowhere_are_told_and_not_passed_over(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "data", *PLAIN)
        (folder / "train/cat/5.jpg").symlink_to("../.git/annex/5")
        (folder / "train/cat/6.jpg").symlink_to("6.jpg")
        (folder / "train/cat/notes.txt").symlink_to("nowhere")

        troubles = {image.name: image.trouble for image in folder_source(folder).open().read()}

        assert len(troubles) == 6
        assert troubles[f"{folder}/train/cat/5.jpg"].endswith("a link to ../.git/annex/5")
        assert "links" in troubles[f"{folder}/train/cat/6.jpg"]

    def test_a_folder_that_may_not_be_read_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inner, scan = str(fill(tmp_path, *PLAIN) / "train/cat"), os.scandir

        def refusing(folder: str) -> object:
            if folder == inner:
                raise PermissionError(13, "Permission denied", folder)
            return scan(folder)

        monkeypatch.setattr(os, "scandir", refusing)

        with pytest.raises(DataError, match=rf"{inner} cannot be read \(Permission denied\)"):
            folder_source(tmp_path)

    def test_identity_follows_names_sizes_and_times(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, *PLAIN)
        seen = {folder_source(folder).identity}
        assert folder_source(folder).identity in seen

        os.utime(folder / PLAIN[0], ns=(1, 1))
        seen.add(folder_source(folder).identity)
        (folder / PLAIN[0]).rename(folder / "train/cat/3.jpg")
        seen.add(folder_source(folder).identity)
        with open(folder / PLAIN[1], "ab") as file:
            file.write(b"x")
        os.utime(folder / PLAIN[1], ns=(1, 1))
        seen.add(folder_source(folder).identity)

        assert len(seen) == 4

    def test_a_file_that_has_gone_is_told_and_not_fatal(self, tmp_path: Path) -> None:
        source = folder_source(fill(tmp_path, *PLAIN)).open()
        (tmp_path / PLAIN[0]).unlink()

        first, *others = source.read()

        assert first.contents is None
        assert "No such file" in first.trouble
        assert first.name == str(tmp_path / PLAIN[0])
        assert all(image.contents for image in others)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"cannot be read .*Check the path after 'folder:'"):
            folder_source(tmp_path / "nothing")


class TestTar:
    def test_every_image_comes_with_its_class_in_any_order(self, tmp_path: Path) -> None:
        names = [f"./{name}" for name in (*reversed(PLAIN), "notes.txt", "train/cat/._1.jpg")]

        source = tar_source(tar_of(tmp_path / "any.tar", *names)).open()

        assert contents(source) == [
            "./train/cat/1.jpg",
            "./train/dog/1.JPEG",
            "./train/dog/2.png",
            "./test/cat/9.jpg",
        ]
        assert source.train == (0, 1, 1)

    def test_identity_follows_the_file(self, tmp_path: Path) -> None:
        path = tar_of(tmp_path / "any.tar", *PLAIN)
        before = tar_source(path).identity
        assert tar_source(path).identity == before

        os.utime(path, ns=(1, 1))

        assert tar_source(path).identity != before

    def test_hidden_folders_are_passed_over(self, tmp_path: Path) -> None:
        more = (".ipynb_checkpoints/x/1.png", "train/.thumbnails/1.jpg", "./.cache/cat/1.jpg")

        source = tar_source(tar_of(tmp_path / "any.tar", *PLAIN, *more)).open()

        assert source.classes == ("cat", "dog")
        assert len(contents(source)) == 4

    def test_classes_whose_names_are_not_utf_8_are_those_of_a_folder(self, tmp_path: Path) -> None:
        names = [
            os.fsdecode(b"caf" + sign + b"/%d.jpg" % n)
            for sign in (b"\xe8", b"\xe9")
            for n in range(50)
        ]
        fill(tmp_path / "folder", *names)
        with tarfile.open(tmp_path / "any.tar", "w", errors="surrogateescape") as file:
            file.add(tmp_path / "folder", "")

        tar = tar_source(tmp_path / "any.tar").open()
        folder = folder_source(tmp_path / "folder").open()

        assert len(tar.classes) == 2
        assert (tar.classes, tar.train, tar.test) == (folder.classes, folder.train, folder.test)
        assert contents(tar) == contents(folder)

    @pytest.mark.parametrize("kind", ["hard", "symbolic"])
    def test_an_image_that_is_a_link_is_refused(self, tmp_path: Path, kind: str) -> None:
        folder = fill(tmp_path / "folder", *PLAIN)
        link = folder / "train/dog/6.jpg"
        if kind == "hard":
            os.link(folder / PLAIN[0], link)
        else:
            link.symlink_to("1.JPEG")
        with tarfile.open(tmp_path / "any.tar", "w") as tar:
            tar.add(folder, "")

        with pytest.raises(DataError, match=r"jpg is a link or has holes. Pack what links lead to"):
            tar_source(tmp_path / "any.tar").open()

    def test_an_image_that_is_too_large_is_told_and_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sources, "MAX_FILE", len("test/cat/9.jpg"))
        source = tar_source(tar_of(tmp_path / "any.tar", *PLAIN)).open()

        troubles = {image.name: image.trouble for image in source.read() if image.trouble}

        assert len(troubles) == 3
        assert "15 bytes; expected 14 at most" in troubles[f"{tmp_path}/any.tar: train/cat/1.jpg"]
