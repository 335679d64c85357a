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
        pytest.param("dred", Protection(dred_ms=1040), id="as much of the past as there can be"),
        pytest.param("lbrr+dred:500", Protection(lbrr=True, dred_ms=500), id="so much of the past"),
        pytest.param("auto", Protection(auto=True), id="the sender's choice"),
    ],
)
def test_what_a_user_writes_is_understood(text, protection):
    assert Protection.parse(text) == protection
    assert Protection.parse(str(protection)) == protection


@pytest.mark.parametrize(
    "text",
    [
        *("", "fec", "lbrr+lbrr", "red:", "red:0", "red:18", "red:1,1", "red:a", "none+lbrr", "red:1+red:2", "lbrr:1"),
        *("+", "dred:", "dred:0", "dred:39", "dred:1041", "dred:a", "dred:-5", "dred+dred", "auto+lbrr", "auto:1"),
    ],
)
def test_what_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match=r"protection|RED distances|deep redundancy"):
        Protection.parse(text)
