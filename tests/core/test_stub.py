"""The committed stub of the core says what the compiled core offers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vivavoce import _core

COMMITTED = Path(__file__).parents[2] / "src/vivavoce/_core.pyi"


def test_the_committed_stub_is_the_generated_one(tmp_path):
    """Compared as syntax trees, so that a new nanobind may break lines otherwise."""
    pytest.importorskip("nanobind")
    generated = tmp_path / "_core.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "vivavoce._core", "-o", str(generated)]
    subprocess.run(command, check=True, timeout=60)
    hint = f"make it anew: python -m nanobind.stubgen -m vivavoce._core -o {COMMITTED}"
    assert ast.unparse(ast.parse(generated.read_text())) == ast.unparse(ast.parse(COMMITTED.read_text())), hint


def test_versions_agree():
    pyproject = (COMMITTED.parents[2] / "pyproject.toml").read_text()
    assert f'\nversion = "{_core.version()}"\n' in pyproject
    header = (COMMITTED.parents[2] / "core/include/vivavoce.h").read_text()
    assert f"\n#define VV_ABI_VERSION {_core.abi_version()}\n" in header


def test_the_public_header_stays_short():
    header = (COMMITTED.parents[2] / "core/include/vivavoce.h").read_text()
    assert len(header.splitlines()) < 200


def test_intrinsics_stay_in_two_files():
    """The lanes of simd.h, and the int8 products, whose instructions no vector extension stands for."""
    root = COMMITTED.parents[2]
    sources = [
        path for folder in ("core", "bindings") for path in (root / folder).rglob("*") if path.suffix in (".h", ".cc")
    ]
    users = {path.name for path in sources if re.search(r"intrin\.h|arm_neon|_mm\d*_|__asm__", path.read_text())}
    assert users == {"simd.h", "int8.cc"}
