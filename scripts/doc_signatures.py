"""How functions and classes are called, in the words of their sources."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from doc_markdown import first_paragraph

_COLUMNS = 88


def construction(name: str, kind: type) -> str:
    """How a class is called: with its fields, or as its ``__init__`` says."""
    body = _class_body(kind)
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return _call(name, node, method=True, returns=False)
    fields = [_field(node) for node in body if isinstance(node, ast.AnnAssign)]
    if hasattr(kind, "__dataclass_fields__"):
        return _joined(f"{name}(", fields, ")")
    return f"class {name}"


def _field(node: ast.AnnAssign) -> str:
    """A field of a dataclass, with the value that its default is made as."""
    match node.value:
        case ast.Call(func=ast.Name(id="field"), keywords=[ast.keyword("default_factory", made)]):
            default = made.body if isinstance(made, ast.Lambda) else ast.Call(made, [], [])
            node = ast.AnnAssign(node.target, node.annotation, default, node.simple)
    return ast.unparse(node)


def methods(kind: type) -> Iterator[str]:
    """A line for each public method and property that a class defines itself."""
    for node in _class_body(kind):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        attribute = "property" in decorators
        parameters = _parameters(node.args, method="staticmethod" not in decorators)
        called = node.name if attribute else f"{node.name}({', '.join(parameters)})"
        about = first_paragraph(ast.get_docstring(node) or "")
        yield f"- `{called}`" + (f": {about}" if about else "")


def _class_body(kind: type) -> list[ast.stmt]:
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(found, ast.ClassDef)
    return found.body


def signature(name: str, function: Callable[..., Any]) -> str:
    """How a function is called, as its source has it, whatever version of Python reads it."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    return _call(name, definition)


def _call(
    name: str, definition: ast.FunctionDef, *, method: bool = False, returns: bool = True
) -> str:
    result = ast.unparse(definition.returns) if returns and definition.returns else ""
    ending = f") -> {result}" if result else ")"
    return _joined(f"{name}(", _parameters(definition.args, method=method), ending)


def _parameters(arguments: ast.arguments, *, method: bool) -> list[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    without = [None] * (len(plain) - len(arguments.defaults))
    told = [_parameter(a, d) for a, d in zip(plain, [*without, *arguments.defaults], strict=True)]
    if arguments.posonlyargs:
        told.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        told.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        told.append("*")
    told += map(_parameter, arguments.kwonlyargs, arguments.kw_defaults)
    if arguments.kwarg:
        told.append(f"**{ast.unparse(arguments.kwarg)}")
    return told[method:]


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _joined(begin: str, parts: list[str], end: str) -> str:
    """Parts on one line if they fit, else each on its own."""
    line = f"{begin}{', '.join(parts)}{end}"
    if len(line) <= _COLUMNS or not parts:
        return line
    return "\n".join([begin, *(f"    {part}," for part in parts), end])
