import pytest

from vivavoce.transport.protection import Protection


@pytest.mark.parametrize(
    ("text", "protection"),
    [
        pytest.param("none", Protection(), id="nothing"),
        pytest.param("lbrr", Protection(lbrr=True), id="in-band"),
        pytest.param("red", Protection(red=(1,)), id="RED's usual distance"),
        pytest.param("red:2", Protection(red=(2,)), id="one distance"),
        pytest.param("red:2,1", Protection(red=(1, 2)), id="two distances in any order"),
        pytest.param("lbrr+red:2", Protection(lbrr=True, red=(2,)), id="both"),
        pytest.param("red:1,2 + lbrr", Protection(lbrr=True, red=(1, 2)), id="spaces"),
    ],
)
def test_what_a_user_writes_is_understood(text, protection):
    assert Protection.parse(text) == protection
    assert Protection.parse(str(protection)) == protection


@pytest.mark.parametrize(
    "text",
    ["", "fec", "lbrr+lbrr", "red:", "red:0", "red:18", "red:1,1", "red:a", "none+lbrr", "red:1+red:2", "lbrr:1", "+"],
)
def test_what_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match=r"protection|RED distances"):
        Protection.parse(text)
