"""Every source file has the test file that is named after it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = {
    "gateway/api": "dataclasses and protocols; exercised by every test",
    "gateway/cli": "arguments only; tests/system/test_commands.py runs each command",
    "gateway/testing": "the test kit itself",
}
BY_INTEGRATION = {
    "gateway/runtime/gateway.py",
    "gateway/runtime/control.py",
    "gateway/runtime/deciding.py",
    "gateway/runtime/serve.py",
    "gateway/runtime/serve_center.py",
    "gateway/centers/port.py",
    "gateway/config/settings.py",
}


def test_every_source_file_has_its_test_file() -> None:
    missing = []
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if path.name.startswith("__") or name in BY_INTEGRATION:
            continue
        if any(name.startswith(room + "/") for room in ELSEWHERE):
            continue
        room = path.parent.relative_to(ROOT / "gateway")
        if not (ROOT / "tests" / "unit" / room / f"test_{path.stem}.py").exists():
            missing.append(name)
    assert missing == []


def test_every_plugin_has_its_test_file() -> None:
    tested = {path.stem for path in (ROOT / "tests" / "unit" / "plugins").rglob("test_*.py")}
    plugins = [
        path.stem
        for path in (ROOT / "plugins" / "gateway_plugins").rglob("*.py")
        if path.stem != "__init__"
    ]
    assert [name for name in plugins if f"test_{name}" not in tested] == []
