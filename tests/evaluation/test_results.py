import json
import math

import pytest

from vivavoce.evaluation.results import ResultFile, record_key

FIRST = {"key": "a", "kind": "call", "scores": {"pesq": 2.5}, "failures": {}}
SECOND = {"key": "b", "kind": "call", "scores": {"pesq": math.nan}, "failures": {"pesq": "silent"}}


@pytest.mark.parametrize("name", [None, "out.jsonl", "out.parquet"])
def test_records_are_found_by_key(tmp_path, name):
    with ResultFile(name and tmp_path / name) as results:
        results.append(FIRST)
        assert "a" in results
        assert "b" not in results
        assert results["a"] == FIRST
        assert len(results) == 1


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_records_are_read_again(tmp_path, name):
    with ResultFile(tmp_path / name) as results:
        results.append(FIRST)
    with ResultFile(tmp_path / name) as results:
        results.append(SECOND)
    with ResultFile(tmp_path / name) as results:
        assert len(results) == 2
        assert results["a"]["scores"] == {"pesq": 2.5}
        assert results["b"]["scores"].get("pesq") is None
        assert results["b"]["failures"] == {"pesq": "silent"}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps(FIRST) + "\n" + json.dumps(SECOND)[:20])
    with ResultFile(path) as results:
        assert len(results) == 1
        results.append(SECOND)
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b"]


def test_an_interrupted_parquet_run_goes_on_from_its_lines(tmp_path):
    path = tmp_path / "out.parquet"

    def interrupted():
        with ResultFile(path) as results:
            results.append(FIRST)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not path.exists()
    with ResultFile(path) as results:
        assert results["a"] == FIRST
    assert path.exists()


def test_a_restart_forgets(tmp_path):
    for name in ("out.jsonl", "out.parquet"):
        with ResultFile(tmp_path / name) as results:
            results.append(FIRST)
        with ResultFile(tmp_path / name, restart=True) as results:
            assert "a" not in results


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("out.jsonl", b'{"key": "a"}\nhello\n', r"out\.jsonl, line 2: is no result", id="no JSON"),
        pytest.param("out.jsonl", b"[1]\n", r"out\.jsonl, line 1: is no result", id="no object"),
        pytest.param("out.jsonl", b'{"id": 1}\n', r"out\.jsonl, line 1: is no result", id="no key"),
        pytest.param("out.jsonl", b"\xff\xfe\n", r"out\.jsonl, line 1: is no result", id="binary"),
        pytest.param("out.jsonl", b"[" * 100_000 + b"\n", r"out\.jsonl, line 1: is no result", id="deep"),
        pytest.param("out.parquet", b"hello", r"out\.parquet: is no Parquet file", id="no Parquet"),
    ],
)
def test_another_file_is_left_as_it_is(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        ResultFile(path)
    assert path.read_bytes() == content


def test_a_key_depends_on_every_value_and_not_on_their_order():
    assert record_key(seed=1, loss="20%") == record_key(loss="20%", seed=1)
    assert len({record_key(seed=1, loss="20%"), record_key(seed=2, loss="20%"), record_key(seed=1, loss="10%")}) == 3
