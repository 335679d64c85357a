import importlib
import json
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vivavoce.cli.doctor import EXTRAS, LABELS, doctor
from vivavoce.codec.library import find_libopus

doctor_module = importlib.import_module("vivavoce.cli.doctor")  # the name in the package may be the function
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def run():
    application = typer.Typer()
    application.command()(doctor)
    return lambda *arguments: CliRunner().invoke(application, arguments)


def test_json_is_one_line_that_tells_which_libopus_and_what_it_can_do(run):
    result = run("--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    findings = json.loads(result.stdout)
    library = find_libopus()
    assert findings["libopus"]["path"] == library.path
    assert findings["libopus"]["version"] == library.version
    assert findings["libopus"]["origin"] == library.origin
    can = findings["libopus"]["can"]
    assert all(can[name] for name in ("encode", "decode", "conceal", "lbrr"))
    assert can.keys() == LABELS.keys()
    assert findings["numpy"]
    assert findings["python"]


def test_the_table_names_the_library_without_folding_its_path(run):
    result = run()
    assert result.exit_code == 0
    assert find_libopus().path in result.stdout
    assert all(label in result.stdout for label in LABELS.values())
    assert all(f"[{extra}]" in result.stdout for extra in EXTRAS)


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["table", "json"])
def test_without_libopus_one_line_says_what_to_do(run, monkeypatch, tmp_path, arguments):
    monkeypatch.setenv("VIVAVOCE_LIBOPUS", str(tmp_path / "libopus.so"))
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "VIVAVOCE_LIBOPUS" in result.stderr
    if arguments:
        assert json.loads(result.stdout)["libopus"] is None


def test_a_broken_extra_is_a_finding_and_no_crash(run, monkeypatch, tmp_path):
    (tmp_path / "broken_extra.py").write_text("raise OSError('its library does not load')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor_module, "EXTRAS", {"opus": ("broken_extra", "absent_extra")})
    result = run("--json")
    assert result.exit_code == 0
    modules = json.loads(result.stdout)["extras"]["opus"]
    assert modules["broken_extra"] == {"version": None, "error": "OSError: its library does not load"}
    assert "No module named 'absent_extra'" in modules["absent_extra"]["error"]


def test_the_extras_are_those_of_the_package():
    declared = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        assert set(modules) == {requirement.split(">=")[0] for requirement in declared[extra]}
