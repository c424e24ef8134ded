"""Hashes of a function's code: of its source, or of its bytecode where the source is not known."""

from __future__ import annotations

import ast
import dis
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_MISSING: Final = object()
_FUTURE: Final = annotations.compiler_flag


def code_of(function: types.FunctionType) -> dict[str, str]:
    """A hash of a function's code: ``source`` -> hash, or ``bytecode`` -> hash if there is none.

    Comments, docstrings and layout do not change the hash of a source. The source in the file is
    used only if it compiles to the code that runs, since the file may have been edited since; and
    never for a lambda, for which Python returns the whole line.
    """
    code = function.__code__
    source = _source(function)
    if source is not None:
        return {"source": _hashed(source)}
    return {"bytecode": _hashed(repr(_plain(code)))}


def names_used(function: types.FunctionType) -> dict[str, Any]:
    """The globals and module attributes that a function's code refers to: name -> value.

    An attribute of a module is named with it, ``module.name``. Builtins, and names that are not
    defined yet, are left out.
    """
    found: dict[str, Any] = {}
    space = function.__globals__
    for code in _codes(function.__code__):
        for path in _paths(code):
            value, name = space.get(path[0], _MISSING), path[0]
            for attribute in path[1:]:
                # What libraries have is known by their version, and may change as they run.
                if not isinstance(value, types.ModuleType) or is_library(value.__name__):
                    break
                value, name = getattr(value, attribute, _MISSING), f"{name}.{attribute}"
            if value is not _MISSING:
                found[name] = value
    return found


def class_members(value: type) -> dict[str, Any]:
    """The methods and attributes that a class defines itself: name -> value."""
    found: dict[str, Any] = {}
    for name, member in vars(value).items():
        inner = getattr(member, "__func__", member)  # of class methods and static ones
        if isinstance(inner, property):
            parts = {"get": inner.fget, "set": inner.fset, "delete": inner.fdel}
            found |= {f"{name}.{part}": one for part, one in parts.items() if one is not None}
        elif isinstance(inner, types.FunctionType):
            if inner.__code__.co_filename != "<string>":  # made by a dataclass from its fields
                found[name] = inner
        elif not (name.startswith("__") and name.endswith("__")):
            found[name] = inner
    fields = vars(value).get("__dataclass_fields__", {})
    return {**found, "fields": [*fields]} if fields else found


def _paths(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    """Every global that the code loads, with the attributes taken of it at once."""
    path: list[str] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            if path:
                yield tuple(path)
            path = [step.argval]
        elif path and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path.append(step.argval)
        elif path and step.opname not in ("CACHE", "PUSH_NULL", "PRECALL"):
            yield tuple(path)
            path = []
    if path:
        yield tuple(path)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _plain(code: types.CodeType) -> tuple[Any, ...]:
    """What the code does, without where it stands; its docstring is left."""
    constants = tuple(
        _plain(c) if isinstance(c, types.CodeType) else _constant(c) for c in code.co_consts
    )
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_name, code.co_code, constants, *names, code.co_exceptiontable)


def _constant(value: Any) -> Any:
    # The order of a set is not that of its elements.
    return ("set", *sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _source(function: types.FunctionType) -> str | None:
    """The function's source without what means nothing; None where it is not what runs."""
    code = function.__code__
    if code.co_name == "<lambda>":
        return None
    try:
        lines, _ = inspect.findsource(code)
        return _sources("".join(lines), code.co_flags & _FUTURE).get(_plain(code))
    except (OSError, TypeError, SyntaxError, ValueError, IndexError):
        return None


@functools.lru_cache(maxsize=64)
def _sources(text: str, flags: int) -> dict[tuple[Any, ...], str]:
    """What each function of a file is compiled to -> its source."""
    tree = ast.parse(text)
    # As a whole: what a function is compiled to depends on what is imported and closed over.
    compiled = compile(tree, "<own>", "exec", flags=flags, dont_inherit=True)
    nodes: dict[tuple[int, str], ast.AST] = {}
    for node in ast.walk(tree):
        _drop_docstring(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min(one.lineno for one in (node, *node.decorator_list))
            nodes[first, node.name] = node
    found = {}
    for code in _codes(compiled):
        of_code = nodes.get((code.co_firstlineno, code.co_name))
        if of_code is not None:
            found[_plain(code)] = ast.unparse(of_code)
    return found


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        match node.body[0]:
            case ast.Expr(value=ast.Constant(value=str())):
                node.body = node.body[1:] or [ast.Pass()]


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def is_library(module: str) -> bool:
    """Whether a module is Python's own or installed, so that its version identifies its code."""
    root = module.partition(".")[0]
    if root in ("__main__", "__mp_main__", ""):
        return False
    if root in sys.stdlib_module_names or root == "lottery":
        return True
    file = getattr(sys.modules.get(module) or sys.modules.get(root), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
