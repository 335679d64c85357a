"""`import vivavoce` is cheap and has no side effects: NumPy and the core, and nothing of the other dependencies."""

import re
import subprocess
import sys

import pytest

# Whatever a base install or an extra may bring. NumPy and the standard library are all that the import may use.
BLOCKED = [
    *("aiortc", "atheris", "audioread", "av", "hypothesis", "librosa", "matplotlib", "nanobind", "onnx", "onnxruntime"),
    *("pandas", "pesq", "PIL", "playwright", "pyarrow", "pystoi", "pytest", "requests", "rich", "scipy", "sklearn"),
    *("soundfile", "soxr", "speechmos", "tensorflow", "torch", "torchaudio", "tqdm", "typer"),
]

BLOCKING = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
"""


def run_python(code, *options):
    """Run code in a fresh interpreter; fails with its stderr. Returns (stdout, stderr)."""
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_the_blocker_blocks():
    done = subprocess.run(
        [sys.executable, "-c", BLOCKING + "import soundfile"], capture_output=True, text=True, timeout=60
    )
    assert "soundfile is blocked" in done.stderr


@pytest.mark.parametrize("module", ["vivavoce", "vivavoce._core", "vivavoce.signal"])
def test_numpy_and_the_core_are_enough(module):
    run_python(f"{BLOCKING}\nimport {module}")


def test_the_import_brings_numpy_alone():
    code = "import sys, vivavoce, vivavoce._core; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(run_python(code)[0].split())
    # What site-packages put into every interpreter by .pth files is not ours.
    loaded -= set(run_python("import sys; print(*{name.partition('.')[0] for name in sys.modules})")[0].split())
    assert loaded - set(sys.stdlib_module_names) <= {"vivavoce", "numpy", "_core"}


def own_import_seconds():
    """Time of `import vivavoce` and the core without NumPy's share, as -X importtime has it."""
    report = run_python("import vivavoce, vivavoce._core", "-X", "importtime")[1]
    lines = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)", report)
    total = sum(int(cumulative) for _, cumulative, indent, name in lines if name.startswith("vivavoce") and not indent)
    assert total > 0
    numpy = sum(int(cumulative) for _, cumulative, indent, name in lines if name == "numpy" and indent)
    return (total - numpy) / 1e6


def test_the_import_takes_less_than_0_3_s_of_its_own():
    assert min(own_import_seconds() for _ in range(3)) < 0.3


def test_the_import_leaves_floating_point_modes_alone():
    """Looked at through Python's own arithmetic: the smallest normal double has a half, and rounding is to nearest."""
    look = "(sys.float_info.min / 2 > 0, 1 + 2**-53 == 1, 1 + 2**-52 > 1, -1 - 2**-53 == -1)"
    code = f"import sys; before = {look}; import vivavoce, vivavoce._core; print(*before, *{look})"
    assert run_python(code)[0].split() == ["True"] * 8


def test_the_import_is_silent():
    assert run_python("import vivavoce, vivavoce._core", "-W", "error") == ("", "")
