import ctypes.util
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

from vivavoce.codec import library as library_module
from vivavoce.codec.capabilities import capabilities
from vivavoce.codec.library import find_libopus
from vivavoce.errors import CodecError


@pytest.fixture(autouse=True)
def fresh_search(monkeypatch):
    """No test sees what another one found."""
    monkeypatch.delenv("VIVAVOCE_LIBOPUS", raising=False)
    library_module._find.cache_clear()
    yield
    library_module._find.cache_clear()


@pytest.fixture
def without_pyav(monkeypatch):
    monkeypatch.setattr(library_module, "pyav_libopus_files", list)


@pytest.fixture
def without_system(monkeypatch):
    monkeypatch.setattr(library_module, "_system_names", list)


def test_pyavs_copy_comes_before_the_systems(bundled):
    found = find_libopus()
    assert (found.origin, found.path) == ("PyAV", bundled.path)
    assert find_libopus() is found


def test_the_named_file_comes_first(bundled, monkeypatch, tmp_path):
    named = tmp_path / "my-opus.so"
    shutil.copy(bundled.path, named)
    monkeypatch.setenv("VIVAVOCE_LIBOPUS", str(named))
    found = find_libopus()
    assert (found.origin, found.path) == ("VIVAVOCE_LIBOPUS", str(named))


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="absent"), pytest.param(b"not a library", id="not a library")]
)
def test_a_named_file_that_does_not_load_is_an_error_without_fallback(monkeypatch, tmp_path, content):
    named = tmp_path / "libopus.so"
    if content is not None:
        named.write_bytes(content)
    monkeypatch.setenv("VIVAVOCE_LIBOPUS", str(named))
    with pytest.raises(CodecError, match=r"VIVAVOCE_LIBOPUS=.*libopus\.so cannot be loaded"):
        find_libopus()


def test_another_library_is_told_apart(monkeypatch):
    other = ctypes.util.find_library("c")
    if other is None:
        pytest.skip("the C library cannot be found by name here")
    monkeypatch.setenv("VIVAVOCE_LIBOPUS", other)
    with pytest.raises(CodecError, match="is no libopus that this package can use: it lacks opus_get_version_string"):
        find_libopus()


@pytest.mark.usefixtures("without_pyav", "without_system")
def test_without_any_libopus_the_error_names_both_ways_out():
    with pytest.raises(CodecError, match=r"pip install 'vivavoce\[opus\]'.*VIVAVOCE_LIBOPUS") as caught:
        find_libopus()
    assert caught.value.code is None
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("without_system")
def test_a_broken_copy_in_pyavs_wheel_is_named(monkeypatch, tmp_path):
    broken = tmp_path / "libopus-1234.so.0"
    broken.write_bytes(b"cut off")
    monkeypatch.setattr(library_module, "pyav_libopus_files", lambda: [broken])
    with pytest.raises(CodecError, match=r"no libopus was found.*libopus-1234"):
        find_libopus()


@pytest.mark.peer
@pytest.mark.usefixtures("without_pyav")
def test_the_systems_is_found_without_pyav(debian):
    found = find_libopus()
    assert (found.origin, found.version) == ("system", debian.version)
    assert found.path.startswith("/")


@pytest.mark.peer
@pytest.mark.usefixtures("without_pyav")
def test_the_systems_is_found_without_ldconfig_and_compiler(debian, monkeypatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert find_libopus().path == debian.path


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param("av.libs", "libopus-0a1b.so.0.11.1", id="Linux"),
        pytest.param("av/.dylibs", "libopus.0.dylib", id="macOS"),
        pytest.param("av.libs", "libopus-0-0a1b.dll", id="Windows"),
    ],
)
def test_pyavs_wheels_are_searched_on_every_system(monkeypatch, tmp_path, folder, name):
    (tmp_path / "av").mkdir()
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / name).touch()
    (tmp_path / folder / "libvpx-99.so").touch()
    spec = ModuleSpec("av", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "av")]
    monkeypatch.setattr(library_module.importlib.util, "find_spec", lambda module: spec)
    assert [file.name for file in library_module.pyav_libopus_files()] == [name]


def test_a_broken_av_module_is_as_good_as_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert library_module.pyav_libopus_files() == []


def test_finding_libopus_does_not_import_pyav():
    program = "import sys, vivavoce.codec.library as l; l.find_libopus(); sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_capabilities_are_what_the_bundled_library_really_does(bundled):
    assert capabilities(bundled) == {
        "encode": True,
        "decode": True,
        "conceal": True,
        "lbrr": True,
        "lbrr_symbol": True,
        "decoder_complexity": True,
        # built without the networks: complexity 10 conceals as 0 does, and the DRED calls answer "unimplemented"
        "neural_concealment": False,
        "dred_encode": False,
        "dred_decode": False,
    }


@pytest.mark.peer
def test_capabilities_of_an_old_library_lack_what_came_later(debian):
    can = capabilities(debian)
    assert all(can[name] for name in ("encode", "decode", "conceal", "lbrr"))
    if debian.version.startswith("1.3"):
        assert not any(can[name] for name in ("lbrr_symbol", "decoder_complexity", "dred_encode", "dred_decode"))


def test_errors_carry_libopus_own_words(bundled):
    with pytest.raises(CodecError, match=r"refuses a test: invalid argument \(code -1\)") as caught:
        bundled.check(-1, "a test")
    assert caught.value.code == -1
    assert bundled.check(7, "a test") == 7
