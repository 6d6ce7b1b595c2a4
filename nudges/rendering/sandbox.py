"""Jinja that can only put known facts into words: which constructs are allowed, and names checked before they run.

Sandboxing alone leaves time and memory unbounded (pallets/jinja#2149), so a template is first held to an allow-list of
syntax: no calls, loops, assignments, arithmetic, joining or includes. What is left cannot run long or grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from nudges.errors import ConfigError, RenderError
from nudges.rendering.facts import FACTS, Kind, nearest

MAX_SOURCE = 64_000
FILTERS = ("lower", "upper", "capitalize", "trim")
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.If, nodes.Const,
    nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.Filter, nodes.CondExpr,
)  # fmt: skip
_COMPARISONS = ("eq", "ne", "gt", "gteq", "lt", "lteq")
_MAX_DEPTH = 12
_MAX_CONSTANT = 200
_MOST_ESCAPED = 4096


class UnknownFact(StrictUndefined):
    """A fact that this household does not have: false in an `if`, an error wherever it would be written."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


def environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    """Build the Jinja environment: sandboxed, strict, no globals, no tests, four filters."""
    env = ImmutableSandboxedEnvironment(undefined=UnknownFact, autoescape=autoescape, keep_trailing_newline=False)
    env.globals.clear()
    env.tests.clear()
    env.filters = {name: env.filters[name] for name in FILTERS}
    return env


_HTML = environment(autoescape=True)
_TEXT = environment(autoescape=False)


class _Escaped(dict[Any, str]):
    """Words to themselves escaped for HTML, forgotten when many; an unknown fact raises, as it cannot be hashed."""

    def __missing__(self, words: object) -> str:
        if len(self) >= _MOST_ESCAPED:
            self.clear()
        self[words] = escaped = str(escape(words))
        return escaped


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a workspace something is, for errors."""

    file: str
    block: str

    def refuse(self, what: str, cure: str, line: int = 0) -> NoReturn:
        """Raise RenderError for something a template may not do."""
        at = f", line {line}" if line else ""
        raise RenderError(f"{self.file}: block {self.block}{at} has {what}, which is not allowed. {cure}")


@dataclass(frozen=True, slots=True)
class Program:
    """One compiled block: a function from a context to pieces of text, and the facts it names."""

    root: Callable[[Any], Any]
    facts: frozenset[str]
    guarded: frozenset[str]  # facts it tests in an `if`: it can do without them


def parse(source: str, place: Place, *, html: bool = False) -> nodes.Template:
    """Parse `source` and hold it to the allow-list; raises ConfigError for syntax, RenderError for what is barred."""
    if len(source) > MAX_SOURCE:
        place.refuse(f"{len(source)} characters", f"Keep it under {MAX_SOURCE}.")
    try:
        tree = (_HTML if html else _TEXT).parse(source)
        _check(tree, place, depth=0)
    except TemplateSyntaxError as error:
        raise ConfigError(
            f"{place.file}: block {place.block}, line {error.lineno}: {error.message}. Mend the tag or remove it."
        ) from error
    except RecursionError as error:
        raise RenderError(f"{place.file}: block {place.block} is nested too deeply. Make it simpler.") from error
    return tree


def compile_tree(
    tree: nodes.Template,
    place: Place,
    *,
    constants: Mapping[str, str],
    prefix: str,
    html: bool = False,
) -> Program:
    """Compile a checked tree: constants are written in, any other fact becomes one flat name (see `flat`)."""
    used: set[str] = set()
    guarded: set[str] = set()
    _flatten(tree, _Names(constants, prefix, used, guarded, place), testing=False)
    env = _HTML if html else _TEXT
    template = env.template_class.from_code(env, env.compile(tree, name=place.file), {})
    root = template.root_render_func
    root.__globals__["escape"] = _Escaped().__getitem__  # the same words over and over: escape each once
    return Program(root, frozenset(used), frozenset(guarded))


def flat(prefix: str, name: str) -> str:
    """The name a fact has inside a compiled block."""
    return f"{prefix}_{name.replace('.', '__')}"


def dotted(flat_name: str) -> str:
    """The fact behind a flat name."""
    return flat_name.partition("_")[2].replace("__", ".")


def _check(node: nodes.Node, place: Place, *, depth: int) -> None:
    if depth > _MAX_DEPTH:
        place.refuse("deeply nested tags", "Make it simpler.", node.lineno)
    if not isinstance(node, _ALLOWED):
        place.refuse(
            f"the construct {type(node).__name__}",
            "Use {{ facts }}, {% if %}, comparisons and the filters " + ", ".join(FILTERS) + ".",
            node.lineno,
        )
    if isinstance(node, nodes.Getattr | nodes.Name):
        _check_name(node, place)
        return
    _check_detail(node, place)
    for child in node.iter_child_nodes():
        _check(child, place, depth=depth + (not isinstance(child, nodes.TemplateData)))


def _check_detail(node: nodes.Node, place: Place) -> None:
    if isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            place.refuse(f"the filter {node.name}", f"Filters are: {', '.join(FILTERS)}.", node.lineno)
        if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            place.refuse(f"the filter {node.name} with arguments", "Write it without.", node.lineno)
    elif isinstance(node, nodes.Operand) and node.op not in _COMPARISONS:
        place.refuse(f"the comparison {node.op}", "Use ==, !=, <, <=, > or >=.", node.lineno)
    elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
        place.refuse("an inline if without else", "Write {{ a if a else b }}.", node.lineno)
    elif isinstance(node, nodes.Const) and not (
        isinstance(node.value, bool | int) or (isinstance(node.value, str) and len(node.value) <= _MAX_CONSTANT)
    ):
        place.refuse("a constant that is neither a whole number nor a short text", "Write it out.", node.lineno)


def _check_name(node: nodes.Getattr | nodes.Name, place: Place) -> None:
    name = _path(node)
    if name is None:
        place.refuse("a name made of more than two parts", "Write {{ household.name }}.", node.lineno)
    if name not in FACTS:
        place.refuse(f"the unknown fact {name}", nearest(name), node.lineno)


def _path(node: nodes.Getattr | nodes.Name) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    return f"{node.node.name}.{node.attr}" if isinstance(node.node, nodes.Name) else None


@dataclass(frozen=True, slots=True)
class _Names:
    constants: Mapping[str, str]
    prefix: str
    used: set[str]
    guarded: set[str]
    place: Place

    def resolve(self, node: nodes.Getattr, *, testing: bool) -> nodes.Expr:
        name = _path(node) or ""
        if name in self.constants:
            return nodes.Const(self.constants[name], lineno=node.lineno, environment=node.environment)
        self.used.add(name)
        if testing:
            self.guarded.add(name)
        elif FACTS[name].kind is Kind.FLAG:
            self.place.refuse(f"the flag {name} as words", f"Write {{% if {name} %}}.", node.lineno)
        flat_name = flat(self.prefix, name)
        return nodes.Name(flat_name, "load", lineno=node.lineno, environment=node.environment)


def _flatten(node: nodes.Node, names: _Names, *, testing: bool) -> None:
    """Replace every `a.b` below `node` in place; `testing` says that its truth, not its words, is asked for."""
    for field in node.fields:
        asks = testing or (field == "test" and isinstance(node, nodes.If | nodes.CondExpr))
        asks = asks and isinstance(node, nodes.If | nodes.CondExpr | nodes.Not | nodes.And | nodes.Or)
        value = getattr(node, field)
        if isinstance(value, list):
            value[:] = [_flattened(child, names, testing=asks) for child in value]
        else:
            setattr(node, field, _flattened(value, names, testing=asks))


def _flattened(child: Any, names: _Names, *, testing: bool) -> Any:  # noqa: ANN401 - a node, or a plain field of one
    if isinstance(child, nodes.Getattr):
        return names.resolve(child, testing=testing)
    if isinstance(child, nodes.Node):
        _flatten(child, names, testing=testing)
    return child
