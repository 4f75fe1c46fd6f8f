"""tca report: results of eval as one page, which a browser shows on a phone and a desktop, light and dark."""
import json
import re
import struct
import zlib

import pytest

import chromium
from cli_program import MODEL, error_line, tca, tca_json

PROFILE = MODEL / "profile.json"
METHODS = "full,tca:0.2,window:0.1"
HOSTILE = "</script></style><img src='http://example.org/x.png' onerror=\"window.pwned=1\"><script>window.pwned=1</script>"
needs_browser = pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.MISSING)


def run_eval(folder, name, *arguments):
    """(result, answers): files of a real run with the model of the repository."""
    answers, result = folder / f"{name}.jsonl", folder / f"{name}.json"
    done = tca("eval", *arguments, "--methods", METHODS, "--answers", answers, "--json")
    assert done.returncode == 0, done.stderr.decode()
    result.write_bytes(done.stdout)
    return result, answers


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    tasks = folder / "own.jsonl"
    tasks.write_text(json.dumps({"context": "It was a dark night. " * 60 + "The code of the gate is 4711. " +
                                            "Nobody slept. " * 60, "task": "gates",
                                 "questions": [{"question": "What is the code of the gate?", "answers": ["4711"]}]}))
    return {"short": run_eval(folder, "short", "--ctx", "600", "--documents", "2", "--questions", "4"),
            "long": run_eval(folder, "long", "--ctx", "1200", "--documents", "1", "--questions", "6"),
            "tasks": run_eval(folder, "tasks", "--from", tasks)}


@pytest.fixture(scope="session")
def page(runs, tmp_path_factory):
    """The page of the two runs of facts with all that goes with it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    done = tca("report", *(runs[name][0] for name in ("long", "short")), "-o", path, "--profile", PROFILE,
               "--answers", *(runs[name][1] for name in ("short", "long")))
    assert done.returncode == 0, done.stderr.decode()
    assert re.fullmatch(rf"{re.escape(str(path))}: 2 results, [0-9.]+ KiB\n", done.stdout.decode())
    return path


def write_changed(path, result, change):
    """A result with something else in it."""
    root = json.loads(result.read_text())
    change(root)
    path.write_text(json.dumps(root))
    return path


# ---- what is on the page


def test_the_page_says_what_the_results_say(page, runs):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and text.count("<h2>") == 5
    for name in ("short", "long"):
        result = json.loads(runs[name][0].read_text())
        assert f"{result['ctx']:,} tokens" in text
        full = result["methods"][0]["total"]
        assert f"{full['found']} of {full['questions']}" in text
        for method in result["methods"][1:]:
            survival = method["survival"]
            if survival["found"]:
                assert f"{survival['survived']} of {survival['found']}" in text
    assert text.index("<h3>600 tokens") < text.index("<h3>1,200 tokens")
    assert "answer-risk" in text or "tail-risk" in text


def test_differing_answers_are_those_that_are_right_with_one_of_two(runs, tmp_path):
    result, answers = runs["short"]
    lines = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    by_method = {}
    for line in lines:
        by_method.setdefault(line["method"], []).append(line["found"])
    differing = sum(len(set(found)) > 1 for found in zip(*by_method.values()))
    assert differing > 1, "full attention and a window of 60 tokens find the same: nothing is tested"
    page = tmp_path / "report.html"
    report = tca_json("report", result, "--answers", answers, "-o", page, "--differences", "1")
    assert report["answers"] == [{"path": str(answers), "result": str(result), "questions": 8, "differing": differing,
                                  "shown": 1}]
    assert report["bytes"] == page.stat().st_size
    text = page.read_text(encoding="utf-8")
    assert f"{differing} of 8 questions, the first 1 shown, {differing - 1} left out" in text
    assert text.count("<article>") == 1


def test_tasks_from_files_are_reported_too(runs, tmp_path):
    result, answers = runs["tasks"]
    page = tmp_path / "report.html"
    assert tca("report", result, "--answers", answers, "-o", page).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "mean score" in text and "By task" in text and "gates" in text


def test_the_same_files_make_the_same_page(page, runs, tmp_path):
    again = tmp_path / "report.html"
    assert tca("report", *(runs[name][0] for name in ("short", "long")), "-o", again, "--profile", PROFILE,
               "--answers", *(runs[name][1] for name in ("long", "short"))).returncode == 0
    assert again.read_bytes() == page.read_bytes()


def test_shares_of_the_profile_can_be_chosen(runs, tmp_path, profile):
    result = runs["short"][0]
    for given, maps in (([], 1), (["--keep", "0.1,0.4"], 2)):
        page = tmp_path / f"{maps}.html"
        assert tca_json("report", result, "--profile", profile, *given, "-o", page)["maps"] == maps
        assert page.read_text(encoding="utf-8").count("Heat map of") == maps
    assert "--profile FILE" in error_line(tca("report", result, "--keep", "0.2", "-o", tmp_path / "x.html"), 2)


# ---- what is refused


def test_a_page_is_replaced_only_when_told(runs, tmp_path):
    page = tmp_path / "report.html"
    page.write_text("mine")
    line = error_line(tca("report", runs["short"][0], "-o", page), 1)
    assert f"--output {page} exists" in line and "--force" in line and page.read_text() == "mine"
    assert tca("report", runs["short"][0], "-o", page, "--force").returncode == 0
    assert "folder" in error_line(tca("report", runs["short"][0], "-o", tmp_path / "no" / "r.html"), 1)


@pytest.mark.parametrize("change, parts", [
    (lambda r: r.update(command="run"), ['command is "run"', "tca eval --json"]),
    (lambda r: r["methods"][1].update(kept_share=-0.5), ["methods[1].kept_share is -0.5", "[0, 1]"]),
    (lambda r: r["methods"][2]["survival"].update(low="a"), ['methods[2].survival.low is "a"', "a number"]),
    (lambda r: r["model"].pop("compute"), ["model.compute is missing"]),
], ids=["command", "range", "type", "missing"])
def test_results_that_are_none_are_refused_by_field(change, parts, runs, tmp_path):
    path = write_changed(tmp_path / "result.json", runs["short"][0], change)
    page = tmp_path / "report.html"
    line = error_line(tca("report", path, "-o", page), 1)
    for part in [str(path), *parts]:
        assert part in line
    assert not page.exists()


def test_answers_of_another_run_are_refused(runs, tmp_path):
    line = error_line(tca("report", runs["short"][0], "--answers", runs["long"][1], "-o", tmp_path / "r.html"), 1)
    assert str(runs["long"][1]) in line and "belongs to none of the results" in line and "of 6" in line


def test_a_profile_of_other_weights_is_refused(runs, tmp_path):
    other = write_changed(tmp_path / "profile.json", PROFILE,
                          lambda root: root["model"].update(weights_sha256=64 * "a"))
    line = error_line(tca("report", runs["short"][0], "--profile", other, "-o", tmp_path / "r.html"), 1)
    assert str(other) in line and "with weights aaaaaaaaaaaa" in line


# ---- in a browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = chromium.Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def pixels(png):
    """(width, height, rows of RGB bytes) of a PNG as browsers write it: eight bits, no palette, not interlaced."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8 and kind in (2, 6)
    channels = 3 if kind == 2 else 4
    data, at = b"", 8
    while at < len(png):
        size = struct.unpack(">I", png[at:at + 4])[0]
        if png[at + 4:at + 8] == b"IDAT":
            data += png[at + 8:at + 8 + size]
        at += size + 12
    return width, height, channels, zlib.decompress(data)


# Everything that reaches beyond the page's width and is not inside something that scrolls.
OVERFLOWING = """[...document.querySelectorAll('body *')].filter(e => {
  for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX == 'auto') return false;
  const r = e.getBoundingClientRect();
  return r.width > 0 && (r.right > innerWidth + 0.5 || r.left < -0.5);
}).map(e => e.tagName + ': ' + e.textContent.slice(0, 60))"""

# [contrast, text] of the text with the least: WCAG's, of every text with the ground that it stands on.
LEAST_CONTRAST = """(() => {
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                       return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => {
    if (/^on\\d$/.test(e.className.baseVal)) return getComputedStyle(e.previousElementSibling).fill;
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (rgb(c)[3] !== 0) return c;
    }
  };
  let least = [99, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const e = node.parentElement;
    if (!node.data.trim() || e.tagName == 'title') continue;
    const style = getComputedStyle(e), a = light(e instanceof SVGElement ? style.fill : style.color), b = light(ground(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < least[0]) least = [contrast, node.data];
  }
  return least;
})()"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_and_reads_on_a_phone_and_a_desktop(width, scheme, page, browser):
    browser.open(page, width, scheme)
    assert browser.evaluate("innerWidth") == width == browser.evaluate("document.documentElement.scrollWidth")
    assert browser.evaluate(OVERFLOWING) == []
    contrast, text = browser.evaluate(LEAST_CONTRAST)
    assert contrast >= 4.5, text
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 24)"
    assert dark == (scheme == "dark")
    assert browser.evaluate("[...document.querySelectorAll('figure svg')].every("
                            "s => s.getAttribute('role') == 'img' && s.getAttribute('aria-label').length > 20 && "
                            "s.querySelector('title').textContent)")
    assert browser.requests() == [page.as_uri()] and browser.complaints() == []


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_not_blank(scheme, page, browser):
    browser.open(page, 390, scheme)
    width, height, channels, data = pixels(browser.screenshot())
    assert width == 390 and height > 2000 and len(data) == height * (1 + width * channels)
    assert browser.evaluate("document.querySelectorAll('figure svg').length") > 4
    # Rows of many different bytes, as text and pictures have them: not one ground.
    stride = 1 + width * channels
    busy = sum(len(set(data[row * stride + 1:(row + 1) * stride])) > 8 for row in range(height))
    assert busy > height / 10


@needs_browser
def test_hostile_strings_stay_text_in_a_browser(runs, browser, tmp_path):
    def poison(root):
        root["model"].update(name=HOSTILE, architecture=HOSTILE)
        root["version"] = root["facts"] = root["ask"] = root["text"] = HOSTILE
        for method in root["methods"][1:]:
            method["method"] += HOSTILE
            if method["survival"]:
                method["survival"]["worst_kind"] = HOSTILE
    result = write_changed(tmp_path / "result.json", runs["short"][0], poison)
    answers = tmp_path / "answers.jsonl"
    lines = [json.loads(line) for line in runs["short"][1].read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line.update(question=HOSTILE, expected=HOSTILE, generated=HOSTILE + "\u202e\0\x1b[31m", kind=HOSTILE)
        line["method"] += HOSTILE if line["method"] != "full" else ""
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = tmp_path / "report.html"
    done = tca("report", result, "--answers", answers, "-o", page)
    assert done.returncode == 0, done.stderr.decode()
    for width in (390, 1280):
        browser.open(page, width, "light")
        assert browser.evaluate("document.querySelectorAll('script, img, iframe, object, link').length") == 0
        assert browser.evaluate("typeof window.pwned") == "undefined"
        assert browser.evaluate("document.querySelector('h1').textContent") == HOSTILE
        assert browser.evaluate("document.querySelectorAll('style').length") == 1
        assert browser.evaluate(OVERFLOWING) == []
        assert browser.requests() == [page.as_uri()] and browser.complaints() == []


@needs_browser
def test_the_browser_notices_what_these_tests_look_for(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<body style='background:#fff'><p style='color:#999;width:2000px'>wide and pale</p>"
                   "<img src='http://example.org/x.png'><script>console.log('ran')</script>")
    browser.open(bad, 390, "light")
    assert browser.evaluate(OVERFLOWING) and browser.evaluate(LEAST_CONTRAST)[0] < 4.5
    assert len(browser.requests()) == 2 and browser.complaints()
