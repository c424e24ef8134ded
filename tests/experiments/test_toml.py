"""TOML: files, options, and what is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.errors import UsageError
from lottery.experiments import parse_override, read_toml
from lottery.experiments.toml import to_toml

simple = st.recursive(
    st.integers(-(2**62), 2**62)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.text(max_size=6), simple | st.dictionaries(st.text(max_size=6), simple), max_size=4
    )
)
def test_toml_comes_back(values: dict[str, Any]) -> None:
    import tomllib

    surrogates = any("\ud800" <= c <= "\udfff" for c in repr(values))
    if not surrogates:
        assert tomllib.loads(to_toml(values)) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=3", {"seed": 3}),
        ("prune.fraction = 0.1", {"prune": {"fraction": 0.1}}),
        ('prune.fractions."output.weight"=0.1', {"prune": {"fractions": {"output.weight": 0.1}}}),
        ("data.name=idx:some/dir=x", {"data": {"name": "idx:some/dir=x"}}),
        ('name="quoted"', {"name": "quoted"}),
        ("controls.continued=true", {"controls": {"continued": True}}),
        (r"name=back\slash", {"name": r"back\slash"}),
    ],
)
def test_overrides(text: str, values: dict[str, Any]) -> None:
    assert parse_override(text) == values


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=1", "a b=1"])
def test_overrides_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"KEY\.PATH=VALUE"):
        parse_override(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a =\nb = 1\n", "line 1"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"\xff", "UTF-8"),
        (b"a = 1 #" + b"x" * 1_000_001, "bytes"),
    ],
)
def test_bad_files_say_where(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_toml(tmp_path / "c.toml")
    with pytest.raises(UsageError, match="cannot read"):
        read_toml(tmp_path / "missing.toml")


@pytest.mark.parametrize("content", [b"a = 1\nb = 2\n", b"a = 1\r\nb = 2\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_either_end_of_lines_are_read(
    tmp_path: Path, mark: bytes, content: bytes
) -> None:
    (tmp_path / "c.toml").write_bytes(mark + content)
    assert read_toml(tmp_path / "c.toml") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a = 1\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        ("a = 1\n".encode("utf-32"), "it is UTF-32 text; save it as UTF-8"),
        ("a = 1\n".encode("utf-16-le"), "a NUL byte in line 1"),
        ("a = 1\nb = 'ä'\n".encode("latin-1"), r"not UTF-8 text \(byte 11, line 2\)"),
        (b"a = 1\n\0", "a NUL byte in line 2"),
        (b"a = 1\rb = 2\r", "carriage return"),
        (b"a = " + b"9" * 5000, "too many digits"),
        (b"a = " + b"[" * 50_000, "deep inside one another"),
        (b"a." * 50_000 + b"a = 1", "more than 200 dots"),
        (b"a." * 50 + b"a = 1", "deep inside one another"),
    ],
)
def test_what_is_no_text_of_a_config_is_said_in_words(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_toml(tmp_path / "c.toml")


def test_only_a_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", tmp_path):
        with pytest.raises(UsageError, match="expected a file"):
            read_toml(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_toml(tmp_path / f"{'a' * 300}.toml")


@pytest.mark.parametrize(
    ("value", "message"),
    [("9" * 5000, "seed: a number has too many digits"), ("[" * 50_000, "deep inside one another")],
)
def test_an_override_too_large_is_said_in_words(value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_override(f"seed={value}")
    assert len(str(caught.value)) < 200


def test_control_characters_make_a_string_as_any_other_text() -> None:
    assert parse_override("name=a\tb\x1b") == {"name": "a\tb\x1b"}


@given(st.binary(max_size=60) | st.text("ab.=[]{}\"'#\\\n\r\0 ,_-+0123456789einfx", max_size=30))
def test_any_file_is_read_or_refused(content: bytes | str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            assert isinstance(read_toml(path), dict)
        except UsageError as error:
            assert str(error)


@given(st.text(max_size=40) | st.text("ab.=[]{}\"'#\\\n\r\0 ,_-+0123456789einfx", max_size=30))
def test_any_override_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_override(text), dict)
    except UsageError as error:
        assert str(error).startswith("--set ")
