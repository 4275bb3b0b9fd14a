"""The page checks find what they look for: each is fed a page with one fault."""

import page_checks
import pytest

GOOD = """<!doctype html><html lang="en"><head><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="background:#fff;color:#000"><main><h1>One</h1><p>Text costs $5, and code is
<code>$x$</code>.</p><h2>Two</h2><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="A dot">
</main></body></html>"""
NO_WIDER = '<div style="width:500px;height:1em">wide words</div>'

FAULTS = [
    ("untypeset formula", "maths_faults", "</main>", "<p>so $x + 1$ is</p></main>", "not typeset"),
    ("display formula", "maths_faults", "</main>", r"<p>\[ x \]</p></main>", "not typeset"),
    (
        "broken formula",
        "maths_faults",
        "</main>",
        '<span class="katex-error">1^</span></main>',
        "cannot typeset: 1^",
    ),
    ("no alt", "image_faults", ' alt="A dot"', "", "without alt text"),
    ("file name as alt", "image_faults", "A dot", "../_images/0a.png", "without alt text"),
    ("two titles", "heading_faults", "<h2>Two</h2>", "<h1>Two</h1>", "2 headings of level 1"),
    ("skipped level", "heading_faults", "<h2>Two</h2>", "<h3>Two</h3>", "level 3 after level 1"),
    ("too wide", "width_faults", "</main>", f"{NO_WIDER}</main>", "sticks out"),
    ("contrast", "accessibility_faults", "color:#000", "color:#bbb", "color-contrast"),
    ("no language", "accessibility_faults", ' lang="en"', "", "html-has-lang"),
]
ACTIONS = [
    ("script error", "<script>undefined.x</script>", "script error"),
    ("console error", "<script>console.error('bad')</script>", "bad"),
    ("outside image", '<img src="http://192.0.2.1/x.png" alt="x">', "another place"),
    ("outside style", '<link rel="stylesheet" href="http://192.0.2.1/x.css">', "another place"),
    ("missing file", '<script src="nowhere.js"></script>', "not found"),
]


@pytest.fixture
def faults_of(tmp_path, open_page):
    def faults_of(markup, check=None, width=360):
        path = tmp_path / "page.html"
        path.write_text(markup, encoding="utf-8")
        page = open_page(path.as_uri(), width=width)
        return getattr(page_checks, check)(page) if check else page.watch.faults

    return faults_of


@pytest.mark.parametrize("check", sorted({fault[1] for fault in FAULTS}))
def test_good_page_passes(faults_of, check):
    assert faults_of(GOOD, check) == []


def test_good_page_is_quiet(faults_of):
    assert faults_of(GOOD) == []


@pytest.mark.parametrize(("name", "check", "old", "new", "message"), FAULTS)
def test_fault_on_the_page_is_found(faults_of, name, check, old, new, message):
    assert old in GOOD
    assert message in "\n".join(faults_of(GOOD.replace(old, new), check))


@pytest.mark.parametrize(("name", "markup", "message"), ACTIONS)
def test_fault_while_loading_is_found(faults_of, name, markup, message):
    assert message in "\n".join(faults_of(GOOD.replace("</main>", f"{markup}</main>")))


def test_pale_word_of_code_is_found_on_a_page_that_does_not_have_it(tmp_path, open_page):
    pale = "<style>.highlight .pale { color: #bbb }</style>"
    code = f'{pale}<div class="highlight"><pre>x = 1 </pre></div></main>'
    path = tmp_path / "page.html"
    path.write_text(GOOD.replace("</main>", code), encoding="utf-8")
    page = open_page(path.as_uri())
    assert page_checks.code_faults(page, ["dark"]) == []
    (fault,) = page_checks.code_faults(page, ["pale"])
    assert "color-contrast" in fault
    assert page_checks.accessibility_faults(page) == [], "code is looked at once, there"
