"""Docstrings: the examples in them are run."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

import pytest
from conftest import REPOSITORY
from programs import FEW_PLUGINS

PACKAGE = REPOSITORY / "fakeproc"


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of the package, and whose it is."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node, clean=False)
                if text:
                    yield f"{name}.{getattr(node, 'name', '')}".rstrip("."), inspect.cleandoc(text)


def examples() -> Iterator[tuple[str, str]]:
    """The indented blocks that are Python and use fakeproc."""
    for name, text in docstrings():
        for block in re.findall(r"(?:^    .*\n?|^\n)+", text + "\n", re.M):
            code = textwrap.dedent(block).strip("\n")
            if re.search(r"\bfakeproc[._]", code) and is_python(code):
                yield name, code


def is_python(code: str) -> bool:
    try:
        compile(code, "an example", "exec")
    except SyntaxError:
        return False
    return True


EXAMPLES = dict(examples())


def test_there_are_some() -> None:
    assert {"fakeproc.__init__", "fakeproc.api.guest.Guest", "fakeproc.pytest_plugin"} <= set(
        EXAMPLES
    )


@pytest.mark.usefixtures("_fuse")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable, value in FEW_PLUGINS.items():
        monkeypatch.setenv(variable, value)
    code = EXAMPLES[name]
    test = code if "def test_" in code else f"def test_example():\n{textwrap.indent(code, '    ')}"
    pytester.makepyfile(f"import fakeproc, pytest\n\n{test}\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
