import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.training.manifest import ManifestEntry, read_manifest


def test_what_is_not_known_is_empty(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": "a", "file": "a.flac"}\n{"id": "b", "file": "b.flac", "speaker": 7, "split": "val"}\n')
    assert read_manifest(path) == [ManifestEntry("a", "a.flac"), ManifestEntry("b", "b.flac", "7", "", "val")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b'{"id": "a", "file": "a"}\n{"id"\n', r"m\.jsonl, line 2: ", id="half an object"),
        pytest.param(b"[]\n", r"m\.jsonl, line 1: expected a JSON object", id="a list"),
        pytest.param(b'{"id": "a"}\n', r"m\.jsonl, line 1: expected a text called 'file'", id="no file"),
        pytest.param(b'{"id": 3, "file": "a"}\n', r"m\.jsonl, line 1: expected a text called 'id'", id="a number"),
        pytest.param(b'{"id": "a", "file": "a", "speaker": [1]}\n', r"line 1: expected the speaker", id="speakers"),
        pytest.param(b'{"id": "a", "file": "a", "category": 1}\n', r"line 1: expected the category", id="category"),
        pytest.param(b'{"id": "a", "file": "a", "split": "dev"}\n', r"line 1: expected the split .*'dev'", id="split"),
        pytest.param(b"\n", r"m\.jsonl, line 1", id="an empty line"),
        pytest.param(b"", r"m\.jsonl, line 1: .* empty", id="an empty file"),
        pytest.param(b"\xff\xfe" * 500, r"m\.jsonl, line 1", id="binary"),
        pytest.param(b"[" * 2_000_000, r"m\.jsonl, line 1", id="deep"),
    ],
)
def test_a_bad_manifest_says_where(tmp_path, content, message):
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_manifest(path)
    assert "\n" not in str(error.value)


@given(content=st.binary(max_size=80))
@settings(deadline=None)
def test_any_manifest_gives_entries_or_a_value_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "m.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.jsonl, line \d+: "):
        read_manifest(path)
