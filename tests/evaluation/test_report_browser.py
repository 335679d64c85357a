"""The pages of a call and of a denoised file in Chromium, from a file, as a user opens them."""

import time

import numpy as np
import pytest

from vivavoce.audio import write_wav
from vivavoce.enhancement.files import denoise_file
from vivavoce.evaluation import report
from vivavoce.evaluation.denoise_report import DenoiseTrace, write_denoise_report
from vivavoce.transport.call import CallSettings, simulate_call, unprotected
from vivavoce.transport.loss import Bernoulli
from vivavoce.transport.protection import Protection

pytestmark = pytest.mark.peer

SWITCHES = [
    "--headless=new",
    "--no-sandbox",  # a test may run as root, where the sandbox refuses to start
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
RATE, SECONDS = 16_000, 6.0
TRACKS = ["original", "unprotected", "protected"]
NAME = "</script><img src=x onerror=document.body.remove()>.flac"
SCREENS = {"laptop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def browser(peer):
    """Chromium, for all tests of this file."""
    chromium = peer.program("chromium", "chromium")
    with peer.module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield browser
        browser.close()


def write(directory, speech):
    settings = CallSettings(loss=Bernoulli(0.2), protection=Protection.parse("red:1"), seed=1)
    bare, call = (simulate_call(speech, each) for each in (unprotected(settings), settings))
    scores = {"unprotected": {"PESQ-WB": 1.9}, "protected": {"PESQ-WB": 3.2}}
    notes = {"input": NAME, "codec": call.codec}
    return report.write_report(directory, speech, bare, call, settings, metrics=scores, notes=notes)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, speech_16k):
    return write(tmp_path_factory.mktemp("embedded") / "report", speech_16k)


@pytest.fixture(scope="module")
def beside(tmp_path_factory, speech_16k):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "MAX_EMBEDDED_BYTES", 0)
        return write(tmp_path_factory.mktemp("beside") / "report", speech_16k)


@pytest.fixture(params=["embedded", "beside"])
def page_file(request):
    """A page with the sounds in it, and one of a long call, with the sounds beside it."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def open_page(browser):
    """Opens a page; at the end none may have complained, or asked the network for anything."""
    contexts, complaints, requests = [], [], []

    def opened(path, screen="laptop"):
        contexts.append(browser.new_context(viewport=SCREENS[screen]))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        until(page, "[...document.querySelectorAll('audio')].every(a => a.readyState >= 1)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints
    assert not [url for url in requests if not url.startswith(("file:", "data:"))]


def until(page, condition, timeout_s=20.0):
    """Return when the condition holds. (What Playwright has for it needs eval, which the page's policy forbids.)"""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        page.wait_for_timeout(20)


def state(page):
    """Of each player: its time and whether it plays."""
    return page.evaluate("[...document.querySelectorAll('audio')].map(a => [a.currentTime, !a.paused])")


def playhead(page):
    """Where the line stands, as a share of the time axis."""
    return page.evaluate("""() => {
        const axis = document.querySelector('#time-original').getBoundingClientRect();
        const head = document.querySelector('#head').getBoundingClientRect();
        return ((head.left + head.right) / 2 - axis.left) / axis.width;
    }""")


def click_at(page, track, share):
    box = page.locator(f"#time-{track}").bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def test_players_have_the_duration_of_the_call(open_page, page_file):
    page = open_page(page_file)
    durations = page.evaluate("[...document.querySelectorAll('audio')].map(a => [a.id, a.duration])")
    assert [name for name, _ in durations] == [f"audio-{track}" for track in TRACKS]
    assert [seconds for _, seconds in durations] == pytest.approx([SECONDS] * 3, abs=1e-3)


@pytest.mark.parametrize("screen", SCREENS)
def test_everything_is_seen_and_fits_the_screen(open_page, embedded, screen):
    page = open_page(embedded, screen)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)") == [True] * 3
    text = page.inner_text("body")
    for expected in (NAME, "The network lost", "Unprotected", "Concealed", "RED copy", "PESQ-WB", "libopus", "red:1"):
        assert expected in text


def test_the_lanes_lie_above_each_other_on_one_time_axis(open_page, embedded):
    page = open_page(embedded)
    boxes = [page.locator(f"#time-{track}").bounding_box() for track in TRACKS]
    assert len({(box["x"], box["width"]) for box in boxes}) == 1
    assert boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]


def test_lost_packets_and_sources_are_painted_where_they_are(open_page, embedded):
    page = open_page(embedded)
    seen = page.evaluate("""() => tracks.filter(t => t.call).map(t => {
        const painted = (canvas) => {
            const row = canvas.getContext('2d').getImageData(0, canvas.height >> 1, canvas.width, 1).data;
            return (slot) => {
                const x = Math.floor((slot + 0.5) * page.slot_s / duration * canvas.width);
                return [...row.slice(4 * x, 4 * x + 4)];
            };
        };
        const mark = painted(t.lostLane), strip = painted(t.strip);
        return [...t.slots].map((kind, slot) => [t.lost[slot], page.sources[kind].colour, mark(slot), strip(slot)]);
    })""")
    for track in seen:
        assert {lost for lost, *_ in track} == {"0", "1"}
        for lost, colour, mark, strip in track:
            assert (mark[3] == 255) == (lost == "1")
            assert strip == [*colour, 255]


def test_playing_moves_the_line_and_another_player_goes_on_where_the_first_was(open_page, page_file):
    page = open_page(page_file)
    assert playhead(page) == pytest.approx(0, abs=0.002)
    page.click("#play-unprotected")
    until(page, "document.querySelector('#audio-unprotected').currentTime > 0.3")
    assert playhead(page) > 0.02
    page.click("#play-protected")
    # where the first was when it stopped, which on a loaded machine may be much later than 0.3
    first, second = (f"document.querySelector('#audio-{track}').currentTime" for track in TRACKS[1:])
    until(page, f"{second} > {first} + 0.05")
    (_, first), (left_at, second), (now, third) = state(page)
    assert (first, second, third) == (False, False, True)
    assert left_at >= 0.3
    assert now > left_at
    page.click("#play-protected")
    assert not any(playing for _, playing in state(page))


def test_a_click_on_a_spectrogram_seeks_there(open_page, page_file):
    page = open_page(page_file)
    click_at(page, "protected", 0.5)
    until(page, "!document.querySelector('#audio-protected').seeking")
    assert state(page)[2][0] == pytest.approx(SECONDS / 2, abs=0.02)
    assert playhead(page) == pytest.approx(0.5, abs=0.005)


def test_keys_play_switch_and_step(open_page, embedded):
    page = open_page(embedded)
    click_at(page, "original", 0.25)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("3")
    assert state(page)[2][0] == pytest.approx(SECONDS / 4 + 0.5, abs=0.02)
    page.keyboard.press(" ")
    until(page, "!document.querySelector('#audio-protected').paused")
    page.keyboard.press(" ")
    until(page, "document.querySelector('#audio-protected').paused")


def test_a_stretch_that_was_dragged_is_repeated(open_page, embedded):
    page = open_page(embedded)
    box = page.locator("#time-unprotected").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.50 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], middle, steps=4)
    page.mouse.up()
    page.evaluate("() => { window.jumps = 0; tracks[1].audio.addEventListener('seeked', () => window.jumps++); }")
    until(page, "window.jumps >= 2")
    now, playing = state(page)[1]
    assert playing
    assert 0.49 * SECONDS < now < 0.60 * SECONDS


def test_zooming_widens_all_lanes_alike_and_keeps_the_line_in_place(open_page, embedded):
    page = open_page(embedded)
    before = page.locator("#time-original").bounding_box()["width"]
    click_at(page, "unprotected", 0.6)
    page.click("#in")
    widths = [page.locator(f"#time-{track}").bounding_box()["width"] for track in TRACKS]
    assert widths == pytest.approx([2 * before] * 3, abs=1)
    assert playhead(page) == pytest.approx(0.6, abs=0.005)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#out")
    assert page.locator("#time-original").bounding_box()["width"] == pytest.approx(before, abs=1)


def test_a_page_of_silence_opens_too(open_page, tmp_path):
    open_page(write(tmp_path / "report", np.zeros(int(0.1 * RATE), dtype=np.float32)))


@pytest.fixture(scope="module")
def denoised(tmp_path_factory, speech_16k, random_model):
    """The page of a denoised file, and what was seen of the work."""
    folder = tmp_path_factory.mktemp("denoised")
    write_wav(folder / "in.wav", speech_16k, RATE)
    trace = DenoiseTrace()
    done = denoise_file(folder / "in.wav", folder / "out.wav", random_model, watch=lambda reader, rate: trace)
    scores = {"noisy": {"DNSMOS OVRL": 1.9}, "cleaned": {"DNSMOS OVRL": 3.2}}
    return write_denoise_report(folder / "report", trace, done, scores=scores, notes={"input": NAME}), trace


@pytest.mark.parametrize("screen", SCREENS)
def test_everything_of_a_denoised_file_is_seen_and_fits_the_screen(open_page, denoised, screen):
    page = open_page(denoised[0], screen)
    assert page.title() == f"{NAME} · vivavoce denoise"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)") == [True] * 5
    text = page.inner_text("body")
    for expected in (NAME, "Noisy", "Cleaned", "Gains", "Pitch", "Voice", "DNSMOS OVRL", "percepnet-test-v1"):
        assert expected in text
    assert not page.is_visible("#legend")
    boxes = [page.locator(f"#time-{key}").bounding_box() for key in ("noisy", "cleaned", "gains", "pitch", "voice")]
    assert len({(box["x"], box["width"]) for box in boxes}) == 1
    labels = page.evaluate("[...document.querySelectorAll('.gutter .label')].map(l => l.getBoundingClientRect().left)")
    assert min(labels) >= page.locator("#scroller").bounding_box()["x"]


def test_a_click_on_a_picture_seeks_what_was_chosen(open_page, denoised):
    page = open_page(denoised[0])
    page.keyboard.press("2")
    click_at(page, "pitch", 0.5)
    until(page, "!document.querySelector('#audio-cleaned').seeking")
    assert state(page)[1][0] == pytest.approx(SECONDS / 2, abs=0.02)
    page.mouse.move(0, 0)  # nothing is under the pointer: the line is described
    frame = int(100 * state(page)[1][0])
    assert f"voice {round(100 * float(denoised[1].frames[frame, 2]))} %" in page.inner_text("#readout")
