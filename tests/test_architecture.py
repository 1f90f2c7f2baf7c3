"""The rules of the code that no linter knows; docs/architecture.md says why they are there.

Each check takes the path of a file and its syntax tree and yields the lines that break its rule;
the planted violations below prove that each of them can fail.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from django.conf import settings

# A package imports only itself and those before it.
PACKAGES = ["distro", "referrals", "orders", "campaigns", "commissions", "analytics"]
FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 400

# Inside a package a module imports only modules of its own rank or below.
RANKS = {
    "errors": 0,
    "rules": 1,
    "models": 2,
    "selectors": 3,
    "signals": 3,
    "bulk": 4,
    "services": 5,
    "exports": 6,
    "serializers": 6,
}
DOORS = {"tasks", "commands", "receivers", "views", "admin"}
DOOR_MAY_OPEN = {("receivers", "tasks")}

RELATIONS = {"ForeignKey", "OneToOneField", "ManyToManyField", "TreeForeignKey"}
BY_NAME = {"get_model", "import_module", "import_string"}
CLOCKS = {
    "timezone": {"now"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
# The sandbox plays WeChat in a process of its own and has WeChat's clock.
OWN_CLOCK = ("distro/clock.py", "distro/wechat/sandbox")
# Moves many rows, which it has locked, in one statement.
MOVES_IN_BULK = {"commissions/services/settling.py"}
READS_ENVIRONMENT = {f"distro/{name}.py" for name in ("settings", "env", "databases", "embedded")}

Check = Callable[[PurePosixPath, ast.Module], Iterator[str]]


# --- Helpers --------------------------------------------------------------------------------


def package_of(path: PurePosixPath) -> str:
    return path.parts[0]


def kind_of(module: PurePosixPath) -> str:
    """Return what a module is by its name.

    "services" for orders/services/place.py, "rules" for commissions/rules_tax.py.
    """
    words = [part.split("_")[0] for part in module.with_suffix("").parts[1:]]
    return next((word for word in words if word in RANKS or word in DOORS), "")


def imports_of(path: PurePosixPath, tree: ast.Module) -> Iterator[tuple[int, PurePosixPath]]:
    """Yield (line, module as a path) for each import, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, PurePosixPath(*alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1].parts if node.level else ()
            module = (*base, *(node.module or "").split("."))
            for alias in node.names:
                yield node.lineno, PurePosixPath(*filter(None, module), alias.name)


def called(node: ast.AST) -> str:
    """Return the last name of what is called: "get_model" for apps.get_model(...)."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", "") or getattr(node.func, "id", "")


def texts_in(node: ast.Call) -> Iterator[str]:
    """Yield the text arguments of a call that may name a model or module."""
    for value in [*node.args[:1], *(k.value for k in node.keywords if k.arg in {"to", "through"})]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def targets_of(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return [
            leaf
            for target in node.targets
            for leaf in ast.walk(target)
            if isinstance(leaf, ast.expr) and isinstance(getattr(leaf, "ctx", None), ast.Store)
        ]
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


# --- Checks ---------------------------------------------------------------------------------


def imports_point_left(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    rightmost = PACKAGES.index(package_of(path))
    for line, module in imports_of(path, tree):
        if module.parts[0] in PACKAGES[rightmost + 1 :]:
            yield f"{line}: imports {module.parts[0]}"
    for node in ast.walk(tree):
        if called(node) in RELATIONS | BY_NAME:
            assert isinstance(node, ast.Call)
            for text in texts_in(node):
                if text.split(".")[0] in PACKAGES[rightmost + 1 :]:
                    yield f"{node.lineno}: names {text}"


def modules_lean_downwards(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    kind = kind_of(path)
    for line, module in imports_of(path, tree):
        if module.parts[0] not in PACKAGES:
            continue
        other = kind_of(module)
        if other in DOORS:
            inside = kind in RANKS
            between = kind in DOORS and kind != other and (kind, other) not in DOOR_MAY_OPEN
            if inside or between:
                yield f"{line}: {kind} imports {other}"
        elif package_of(module) == package_of(path) and RANKS.get(other, 0) > RANKS.get(kind, 99):
            yield f"{line}: {kind} imports {other}"


def functions_are_short(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {lines} lines"


def status_moves_by_advance(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Only the mover assigns a status; set-based moves live in bulk.py.

    A class that has an __init__ of its own (an HTTP answer, a refusal) is no row.
    """
    if str(path) == "distro/states.py":
        return
    made = [node for node in ast.walk(tree) if getattr(node, "name", "") == "__init__"]
    fresh = {inner for node in made for inner in ast.walk(node)}
    for node in ast.walk(tree):
        for target in targets_of(node) if node not in fresh else []:
            if isinstance(target, ast.Attribute) and target.attr == "status":
                yield f"{target.lineno}: assigns .status"
        if not isinstance(node, ast.Call):
            continue
        if called(node) == "setattr" and "'status'" in ast.unparse(node.args[1]):
            yield f"{node.lineno}: setattr(..., 'status', ...)"
        moves = any(keyword.arg == "status" for keyword in node.keywords)
        in_bulk = kind_of(path) == "bulk" or str(path) in MOVES_IN_BULK
        if called(node) == "update" and moves and not in_bulk:
            yield f"{node.lineno}: update(status=...)"


def rules_are_whole_numbers(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    if kind_of(path) != "rules":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in {"float", "Decimal"}:
            yield f"{node.lineno}: {node.id}"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{node.lineno}: {node.value}"
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"{node.lineno}: / instead of //"


def saving_is_no_fact(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = {getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "")}
        if used := names & {"pre_save", "post_save"}:
            yield f"{getattr(node, 'lineno', 0)}: {used.pop()}"


def time_comes_from_the_clock(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    if str(path).startswith(OWN_CLOCK):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "id", "") or getattr(node.value, "attr", "")
            if node.attr in CLOCKS.get(owner, set()):
                yield f"{node.lineno}: {owner}.{node.attr}"


def errors_are_not_swallowed(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        wide = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        empty = all(
            isinstance(step, ast.Pass | ast.Continue)
            or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
            for step in node.body
        )
        if wide and empty:
            yield f"{node.lineno}: swallows every error"


def environment_is_read_by_settings(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    if str(path) in READS_ENVIRONMENT:
        return
    for node in ast.walk(tree):
        reads = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)
        read = ast.unparse(node) if reads or called(node) in {"get", "getenv"} else ""
        if read.startswith(("os.environ[", "os.environ.get(", "environ.get(", "os.getenv(")):
            yield f"{getattr(node, 'lineno', 0)}: {read}"


CHECKS: list[Check] = [
    imports_point_left,
    modules_lean_downwards,
    functions_are_short,
    status_moves_by_advance,
    rules_are_whole_numbers,
    saving_is_no_fact,
    time_comes_from_the_clock,
    errors_are_not_swallowed,
    environment_is_read_by_settings,
]


# --- The code obeys -------------------------------------------------------------------------


def sources() -> list[PurePosixPath]:
    """Return every Python file of the packages, migrations left out."""
    files = [path for name in PACKAGES for path in (settings.BASE_DIR / name).rglob("*.py")]
    paths = sorted(PurePosixPath(path.relative_to(settings.BASE_DIR)) for path in files)
    return [path for path in paths if "migrations" not in path.parts]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_code_obeys(check: Check) -> None:
    faults = [
        f"{path}:{fault}"
        for path in sources()
        for fault in check(path, ast.parse((settings.BASE_DIR / path).read_text("utf-8")))
    ]
    assert not faults, "\n".join(faults)


def test_every_package_is_walked() -> None:
    assert {package_of(path) for path in sources()} == set(PACKAGES) == set(settings.PROJECT_APPS)


def test_files_are_readable_in_one_sitting() -> None:
    assert not too_long({path: settings.BASE_DIR / path for path in sources()})


def too_long(files: dict[PurePosixPath, Path]) -> list[str]:
    counts = {name: len(path.read_text("utf-8").splitlines()) for name, path in files.items()}
    return [f"{name}: {n} lines" for name, n in counts.items() if n > FILE_LINES_MAX]


# --- The checks can fail --------------------------------------------------------------------

LONG_FUNCTION = "def work():\n" + "    x = 1\n" * FUNCTION_LINES_MAX

PLANTED = [
    (imports_point_left, "referrals/services.py", "from orders.models import Order"),
    (imports_point_left, "referrals/services.py", "import analytics"),
    (imports_point_left, "orders/services.py", "def f():\n    from commissions import rules"),
    (imports_point_left, "distro/jobs.py", "from referrals.models import Member"),
    (imports_point_left, "orders/models.py", "x = models.ForeignKey('commissions.Plan')"),
    (imports_point_left, "orders/models.py", "x = models.ForeignKey(to='campaigns.Coupon')"),
    (imports_point_left, "orders/services.py", "apps.get_model('commissions', 'Plan')"),
    (imports_point_left, "distro/facts.py", "import_module('orders.services')"),
    (modules_lean_downwards, "orders/services.py", "from orders.tasks import expire"),
    (modules_lean_downwards, "orders/services/place.py", "from orders import views"),
    (modules_lean_downwards, "orders/models.py", "from orders.admin import OrderAdmin"),
    (modules_lean_downwards, "orders/rules.py", "from orders.models import Order"),
    (modules_lean_downwards, "orders/selectors.py", "from .services import place_order"),
    (modules_lean_downwards, "orders/views.py", "from orders.tasks import expire"),
    (modules_lean_downwards, "orders/tasks.py", "from orders.receivers import accrue_on_paid"),
    (modules_lean_downwards, "orders/admin.py", "from referrals.views import MeView"),
    (modules_lean_downwards, "orders/management/commands/x.py", "from orders.tasks import y"),
    (functions_are_short, "orders/services.py", LONG_FUNCTION),
    (status_moves_by_advance, "orders/services.py", "order.status = 'paid'"),
    (status_moves_by_advance, "orders/services.py", "a, order.status = 1, 'paid'"),
    (status_moves_by_advance, "orders/services.py", "rows.update(status='paid')"),
    (status_moves_by_advance, "orders/services.py", "setattr(order, 'status', 'paid')"),
    (rules_are_whole_numbers, "orders/rules.py", "rate = 0.1"),
    (rules_are_whole_numbers, "orders/rules.py", "half = fen / 2"),
    (rules_are_whole_numbers, "orders/rules.py", "half = Decimal(fen)"),
    (rules_are_whole_numbers, "orders/rules/split.py", "half = float(fen)"),
    (rules_are_whole_numbers, "orders/rules_tax.py", "rate = 0.1"),
    (saving_is_no_fact, "orders/receivers.py", "from django.db.models.signals import post_save"),
    (saving_is_no_fact, "orders/receivers.py", "signals.pre_save.connect(f)"),
    (time_comes_from_the_clock, "orders/services.py", "at = timezone.now()"),
    (time_comes_from_the_clock, "orders/models.py", "x = DateTimeField(default=timezone.now)"),
    (time_comes_from_the_clock, "orders/services.py", "at = datetime.datetime.now(UTC)"),
    (time_comes_from_the_clock, "orders/services.py", "day = date.today()"),
    (errors_are_not_swallowed, "orders/tasks.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (errors_are_not_swallowed, "orders/tasks.py", "try:\n    f()\nexcept:\n    ..."),
    (environment_is_read_by_settings, "orders/services.py", "x = os.environ['X']"),
    (environment_is_read_by_settings, "orders/services.py", "x = os.getenv('X')"),
]

HARMLESS = [
    (imports_point_left, "orders/services.py", "from referrals.selectors import upline"),
    (imports_point_left, "orders/models.py", "x = models.ForeignKey('referrals.Member')"),
    (imports_point_left, "distro/urls.py", "include('orders.urls')"),
    (modules_lean_downwards, "orders/receivers.py", "from orders.tasks import expire"),
    (modules_lean_downwards, "orders/services.py", "from orders.models import Order"),
    (modules_lean_downwards, "orders/urls.py", "from orders.views import PlaceOrder"),
    (modules_lean_downwards, "orders/admin.py", "from distro.admin import ReadOnlyAdminMixin"),
    (functions_are_short, "orders/services.py", LONG_FUNCTION.replace("    x = 1\n", "", 1)),
    (status_moves_by_advance, "distro/states.py", "row.status = to"),
    (status_moves_by_advance, "orders/bulk.py", "rows.update(status='paid')"),
    (status_moves_by_advance, "orders/selectors.py", "x = order.status == 'paid'"),
    (status_moves_by_advance, "orders/x.py", "class A:\n def __init__(s, n):\n  s.status = n"),
    (rules_are_whole_numbers, "orders/rules.py", "half = fen // 2"),
    (time_comes_from_the_clock, "orders/views.py", "at = clock.now()"),
    (time_comes_from_the_clock, "distro/clock.py", "at = timezone.now()"),
    (errors_are_not_swallowed, "orders/tasks.py", "try:\n    f()\nexcept KeyError:\n    pass"),
    (environment_is_read_by_settings, "distro/env.py", "x = os.environ.get('X')"),
]


@pytest.mark.parametrize(("check", "path", "source"), PLANTED)
def test_a_planted_violation_is_found(check: Check, path: str, source: str) -> None:
    assert list(check(PurePosixPath(path), ast.parse(source)))


@pytest.mark.parametrize(("check", "path", "source"), HARMLESS)
def test_harmless_code_passes(check: Check, path: str, source: str) -> None:
    assert not list(check(PurePosixPath(path), ast.parse(source)))


def test_a_long_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("x = 1\n" * (FILE_LINES_MAX + 1))
    assert too_long({PurePosixPath("orders/long.py"): path})


def test_every_check_has_a_planted_violation() -> None:
    assert {check for check, _, _ in PLANTED} == set(CHECKS)
