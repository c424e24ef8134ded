"""The public names of `lottery` and what their docstrings say."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType

from doc_markdown import code, first_paragraph, markdown, rst, table
from doc_signatures import construction, methods, signature


def public_packages() -> list[str]:
    """Every package of `lottery` that says in ``__all__`` what is public."""
    import lottery

    found = pkgutil.iter_modules(lottery.__path__)
    names = [f"lottery.{package.name}" for package in found if package.ispkg]
    return [name for name in names if getattr(importlib.import_module(name), "__all__", None)]


def api(package: str | None) -> str:
    """The public names of a package: how each is called, and the first paragraph about it."""
    module = _documented_module(package)
    about = first_paragraph(inspect.getdoc(module) or "")
    return "\n\n".join([about, *(_about(module, name) for name in public_names(module))])


def _documented_module(package: str | None) -> ModuleType:
    """A module all of whose public names have a docstring.

    Raises:
        ValueError: one has none.
    """
    assert package is not None, "say which package, as in `generated: api lottery.core`"
    lacking = undocumented([package])
    if lacking:
        raise ValueError(f"public, but without a docstring: {', '.join(lacking)}")
    return importlib.import_module(package)


def public_names(module: ModuleType) -> list[str]:
    """What a package says is public; of a module, what it defines without an underscore."""
    own = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
    return getattr(module, "__all__", own)


def _about(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    if not (inspect.isfunction(value) or _is_class(value)):
        return f"### {name}\n\n{first_paragraph(documented_value(module, name))}"
    paragraph = first_paragraph(inspect.getdoc(value) or "")
    if inspect.isfunction(value):
        return f"### {name}\n\n{code('py', signature(name, value))}\n\n{paragraph}"
    parts = [f"### {name}", code("py", construction(name, value)), paragraph]
    return "\n\n".join([*parts, "\n".join(methods(value))]).rstrip()


def built_api(package: str | None) -> str:
    """The same for the built pages: the whole docstrings."""
    module = _documented_module(package)
    parts = [markdown(inspect.getdoc(module) or "")]
    for name in public_names(module):
        target = f"{module.__name__}.{name}"
        if inspect.isfunction(getattr(module, name)):
            parts.append(rst(f".. autofunction:: {target}"))
        elif _is_class(getattr(module, name)):
            parts.append(rst(f".. autoclass:: {target}\n   :members:"))
        else:
            meaning = " ".join(documented_value(module, name).split())
            parts.append(rst(f".. py:data:: {target}\n\n   {meaning}"))
    return "\n\n".join(parts)


_MODULES = (
    "lottery.errors",
    "lottery.experiments.workers",
    "lottery.holding",
    "lottery.rng",
    "lottery.score",
)
"""Modules that are public, and a package within one."""


def front(_argument: str | None) -> str:
    """The names that can be imported from `lottery` itself, and where each is described."""

    def link(home: str) -> str:
        package = home.split(".")[1]
        return f"[`{home}`]({'errors' if package in ('rng', 'score') else package}.md)"

    return _front(link)


def built_front(_argument: str | None) -> str:
    """The same for the built pages: links to the names themselves."""
    return _front(lambda home: f"{{py:obj}}`{home}`")


def _front(link: Callable[[str], str]) -> str:
    import lottery

    rows = [(f"`lottery.{name}`", link(_home(name))) for name in lottery.__all__]
    return table(("Name", "Described as"), rows)


def _home(name: str) -> str:
    """The whole name of what `lottery` offers under ``name``."""
    import lottery

    for package in [*public_packages(), *_MODULES]:
        module = importlib.import_module(package)
        if getattr(module, name, None) is getattr(lottery, name):
            return f"{package}.{name}"
    raise ValueError(f"lottery.{name} belongs to no public package")


def undocumented(packages: list[str] | None = None) -> list[str]:
    """Public names without a docstring: of functions, classes, and constants or types."""

    def has_docstring(module: ModuleType, name: str) -> bool:
        value = getattr(module, name)
        if inspect.isfunction(value):
            return bool(value.__doc__)
        if _is_class(value):
            # A dataclass without a docstring gets its signature for one.
            return bool(value.__doc__) and not value.__doc__.startswith(f"{value.__name__}(")
        return bool(documented_value(module, name))

    return [
        f"{package}.{name}"
        for package in (public_packages() if packages is None else packages)
        for module in [importlib.import_module(package)]
        for name in public_names(module)
        if not has_docstring(module, name)
    ]


def _is_class(value: object) -> bool:
    """Whether this is a class of ours, not a type that a name stands for."""
    return inspect.isclass(value) and value.__module__.startswith("lottery.")


def documented_value(module: ModuleType, name: str) -> str:
    """The docstring under the assignment of a public constant or type, and a dict's keys.

    Looked for in the module that assigns the name, which the package may only re-export.
    """
    value = getattr(module, name)
    for source in _loaded_modules(module):
        # Another module may have another thing of this name.
        text = _below_assignment(source, name) if getattr(source, name, None) is value else ""
        if text:
            keys = ", ".join(f"``{key}``" for key in value) if isinstance(value, dict) else ""
            return f"{text} Names: {keys}." if keys else text
    return ""


def _loaded_modules(package: ModuleType) -> list[ModuleType]:
    """The modules of `lottery`, those of the package first."""
    names = sorted(
        (name for name in sys.modules if name.startswith("lottery.")),
        key=lambda name: (not f"{name}.".startswith(f"{package.__name__}."), name),
    )
    return [sys.modules[name] for name in names]


def _below_assignment(module: ModuleType, name: str) -> str:
    body = ast.parse(inspect.getsource(module)).body
    for statement, below in pairwise(body):
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        match below:
            case ast.Expr(value=ast.Constant(value=str(text))) if any(
                isinstance(target, ast.Name) and target.id == name for target in targets
            ):
                return inspect.cleandoc(text)
    return ""
