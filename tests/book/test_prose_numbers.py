"""Tests of the rule that every number in the prose is proven."""

import json

import pytest
import toy_book
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4
from notebooks import normalise, read
from rules import prose_numbers
from toy_book import code, picture, printed, text

SOURCE = "[He et al., 2015](https://arxiv.org/abs/1512.03385)"


def found(prose, *cells, path):
    """What the rule tells the author of a notebook with this prose and these code cells."""
    notebook = normalise(v4.new_notebook(cells=[text(prose), *cells]))
    return [str(fault) for fault in prose_numbers.faults(path, notebook)]


@pytest.fixture
def alarms(tmp_path):
    path = tmp_path / "chapters" / "01_toy.ipynb"
    return lambda prose, *cells: found(prose, *cells, path=path)


# What states something, and what does not

ALARMS = {
    "four digits": ("Both agree on all 1437 images.", ["1437"]),
    "thousands, comma": ("It has 14,362 of them.", ["14,362"]),
    "thousands, thin space": ("It has 14\u202f362 of them.", ["14\u202f362"]),
    "thousands, TeX": ("It has $14{,}362$ of them.", ["14,362"]),
    "three digits": ("The error is 0.305 here.", ["0.305"]),
    "no leading zero": ("The error is .305 here.", [".305"]),
    "zero at the end": ("The error is 10.0 here.", ["10.0"]),
    "sign": ("It moves by −0.305 then.", ["-0.305"]),
    "year": ("In 2015 it was found.", ["2015"]),
    "at the end": ("All of them: 1437.", ["1437"]),
    "bold": ("All **1437** of them.", ["1437"]),
    "behind a sign of equality": ("Here n=1437.", ["1437"]),
    "percentage": ("It errs on 97 % of them.", ["97"]),
    "percentage, no space": ("It errs on 3% of them.", ["3"]),
    "percentage, word": ("It errs on 3 percent of them.", ["3"]),
    "percentage, all words": ("It stays above sixty percent.", ["sixty"]),
    "percentage, formula": (r"It errs on $97\,\%$ of them.", ["97"]),
    "range": ("From 18 to 29 % of them.", ["18", "29"]),
    "range, dash": ("Some 18–29 % of them.", ["18", "29"]),
    "list": ("It was 18, 24 and 29 %.", ["18", "24", "29"]),
    "spread behind": ("It was 24 % (18 to 29).", ["24", "18", "29"]),
    "plus or minus": ("It was 24 ± 3 % there.", ["24", "3"]),
    "ratio": ("It is 1.2× faster.", ["1.2"]),
    "ratio, space": ("It is 1.2 × faster.", ["1.2"]),
    "ratio, letter": ("It is 3x faster.", ["3"]),
    "ratio, times": ("It is 7 times faster.", ["7"]),
    "ratio, colon": ("They stand 3:2.", ["3", "2"]),
    "ratio, fold": ("It grows 12-fold.", ["12"]),
    "ratio, word": ("It grows a thousandfold.", ["thousand"]),
    "factor": ("It grows by a factor of 12.", ["12"]),
    "count": ("Add 24 pairs.", ["24"]),
    "count, words between": ("The 54 plain hidden layers do nothing.", ["54"]),
    "count, hyphen": ("A 56-layer network.", ["56"]),
    "count, hyphens": ("Networks of 20- and 56-layer depth.", ["20", "56"]),
    "count, word": ("It has seven layers.", ["seven"]),
    "count, capital": ("Twenty-four pairs follow.", ["Twenty-four"]),
    "count, list": ("With 8, 20 and 56 layers.", ["8", "20", "56"]),
    "count, part": ("In 3 of the 8 blocks.", ["3", "8"]),
    "count, formula": ("It has $20$ layers.", ["20"]),
    "count, end of a formula": ("With $C = 64$ channels.", ["64"]),
    "count, of those": ("Take 24 of its pairs.", ["24"]),
    "count, such": ("Put 60 such layers in a row.", ["60"]),
    "count, code between": ("It has 7 `BasicBlock` layers.", ["7"]),
    "count, size between": ("It has two 3×3 convolutions.", ["two"]),
    "count, after the name": ("At depth 56 it fails.", ["56"]),
    "count, names' list": ("At depths 20, 32 and 56.", ["20", "32", "56"]),
    "memory": ("It takes 8 MB then.", ["8"]),
    "pixels": ("Photographs of 32×32 pixels.", ["32", "32"]),
    "pixels, short": ("They are 32px wide.", ["32"]),
    "large size": ("Photographs are 224×224 here.", ["224", "224"]),
    "large size, letter": ("Photographs are 224x224 here.", ["224", "224"]),
    "millions": ("It has 2 million parameters.", ["2 million"]),
    "time": ("It runs 40 seconds.", ["40"]),
    "time, short": ("It runs 5 ms.", ["5"]),
    "time, word": ("It runs for ten minutes.", ["ten"]),
    "power of ten": ("It is about $10^6$ there.", ["10^6"]),
    "power of ten, braces": ("It is about $10^{-24}$ there.", ["10^{-24}"]),
    "power of ten, Unicode": ("It is about 10⁶ there.", ["10^6"]),
    "power of ten, words": (
        "It is ten to the minus twenty-four.",
        ["ten to the minus twenty-four"],
    ),
    "scientific": ("It is 1.2×10⁶ there.", ["1.2×10^6"]),
    "scientific, TeX": (r"It is $1.2 \times 10^{6}$ there.", ["1.2 ×10^{6}"]),
    "scientific, e": ("It is 2e-5 there.", ["2e-5"]),
    "in a formula": ("Take $x = 1437$ there.", ["1437"]),
    "in a displayed formula": ("$$\nx = 1437\n$$", ["1437"]),
    "in a heading": ("## All 1437 of them", ["1437"]),
    "in a list": ("- one\n- all 1437 of them", ["1437"]),
    "in a quotation": ("> all 1437 of them", ["1437"]),
    "in a table": ("| a | b |\n|---|---|\n| x | 28.54 |", ["28.54"]),
    "unit in a table's head": (
        "| depth | error in % |\n|---|---|\n| low | 24 (18–29) |",
        "24 18 29",
    ),
    "in details": ("<details><summary>All 1437</summary>\n\nx\n\n</details>", ["1437"]),
    "in a link's text": ("[All 1437 of them](02_toy.ipynb)", ["1437"]),
    "in an image's alt text": ("![All 1437 of them](a.png)", ["1437"]),
    "same number twice": ("All 1437 are 1437.", ["1437"]),
}
SILENT = {
    "small numbers": "The output is below 1 there, or 0, or −3, and the rate was 0.05.",
    "formula's coefficients": "Let $x = -2$ and $w + 1$, then $2^3$, $F_{100}$ and $W_2$.",
    "formula's products": "It has $2 \\cdot (3 + 64) \\times 9C^2$ of them.",
    "chapters": "Chapter 07 and chapters 05, 06 and 12 return to it.",
    "exercises": "Exercise 2 asks for it, and so does question 10.",
    "figures": "See Fig. 7, Figs. 1 and 4, Table 6, section 4.1, eq. 10 and § 3.2.",
    "reference, then a count": "As in Fig. 2, one block fails.",
    "names": "ResNet-18, ResNet-50/101/152, VGG-16, CIFAR-10, ImageNet-1000, float32, W100, H200.",
    "names with a year": "It won ILSVRC 2015.",
    "versions": "With PyTorch 2.15 and Python 3.11 to 3.13, or with 2.15.0.",
    "sizes": "A 3×3 convolution after a 1×1, a $3 \\times 3$ and a 7x7 one.",
    "list numbers": "1. first\n2. second",
    "fractions in words": "Half of the layers learn twice as fast, and a tenth are lost.",
    "one": "One layer is like another one, with layers between.",
    "unknown amounts": "A few thousand images, several hundred layers and many powers of ten.",
    "code span": "The value `1437` of `10^6`.",
    "fenced code": "```python\nx = 1437\n```",
    "link target": "[The next](02_toy_1437.ipynb)",
    "a stop word ends a count": "Add 7 to the layers.",
    "time without a number": "It takes about a minute.",
}


@pytest.mark.parametrize("case", ALARMS)
def test_number_without_proof_is_caught(case, alarms):
    prose, expected = ALARMS[case]
    told = alarms(prose)
    expected = expected.split() if isinstance(expected, str) else expected
    for number in expected:
        assert any(repr(number) in fault for fault in told), told
    assert len(told) == len(set(expected))


@pytest.mark.parametrize("case", SILENT)
def test_what_states_nothing_passes(case, alarms):
    assert alarms(SILENT[case]) == []


def test_good_chapter_passes(tmp_path):
    chapter = toy_book.write_book(tmp_path)
    for path in (chapter, chapter.parent / "solutions" / chapter.name):
        assert prose_numbers.faults(path, read(path)) == []


def test_message_names_place_number_sentence_and_cures(alarms):
    (told,) = alarms("All is well. The two agree on all 1437 images. So it is.", code("2"))
    assert told.startswith("01_toy.ipynb, cell 1: the count '1437' in the text has no proof")
    assert "“The two agree on all 1437 images.”" in told
    for cure in ("Print it", "name the record", "link its source"):
        assert cure in told


def test_long_sentence_is_shortened_around_the_number(alarms):
    (told,) = alarms("word " * 60 + "1437 " + "word " * 60)
    assert "…word" in told
    assert len(told) < 400


def test_alt_text_is_prose(alarms):
    cell = code("show()", picture(), alt="The error falls to 28.54 percent. It is low.")
    (told,) = alarms("Look.", cell)
    assert "cell 2: the percentage '28.54' in the alt text" in told


# What proves a number

PROOFS = {
    "output": ("All 1437 agree.", code("f()", printed("equal: 1437 of 1437\n"))),
    "output, comma": ("It has 14362 of them.", code("f()", printed("14,362 parameters"))),
    "output, shape": ("All 1437 agree.", code("f()", printed("(1437, 1, 8, 8)"))),
    "output, end of line": ("All 1437 agree.", code("f()", printed("n: 1437."))),
    "output, zeros": ("It is 28.5 % there.", code("f()", printed("28.50"))),
    "output, percentage": ("It is 97 % there.", code("f()", printed("97.0 %"))),
    "output, power": ("It is $10^6$ there.", code("f()", printed("10^6"))),
    "output, exponent": ("It is $10^{6}$ there.", code("f()", printed("1e+06"))),
    "output, words for digits": ("Add seven pairs.", code("f()", printed("7 pairs"))),
    "output, millions": ("It has 11.7 million parameters.", code("f()", printed("11.7 M"))),
    "output, sign": ("It moves by −0.305.", code("f()", printed("tensor([-0.3050])"))),
    "number in code": ("At depth 110 it fails.", code("f(depth=110)")),
    "negative number in code": ("It moves by −0.305.", code("f(-0.305)")),
    "string in code": ("All 1437 agree.", code("title('1437 images')")),
    "string with fields in code": ("It is 97 % here.", code("print(f'{x:3} of 97 %')")),
    "list's length in code": ("Three seeds, five depths.", code("a, b = (0, 1, 2), [9] * 5")),
    "notebook magics in code": ("All 1437 agree.", code("%matplotlib inline\nf(1437)")),
    "source": (f"It has 28.54 % there ({SOURCE}, Fig. 1).", code("f()")),
    "source, initials": (
        "K. He, X. Zhang: [Deep](https://arxiv.org/abs/1512.03385), 2015.",
        code(""),
    ),
    "bibliography": ("It won in 2015 ([He](../book/references.md#he2015)).", code("f()")),
    "source in the row": (f"| a | b |\n|---|---|\n| 28.54 | {SOURCE} |", code("f()")),
}
NO_PROOFS = {
    "part of another": ("Add 12 pairs.", code("f()", printed("112 121 1.2 12.5 1,212 12.0.1"))),
    "fewer digits": ("It is 0.38 % there.", code("f()", printed("0.3761"))),
    "other sign": ("It moves by −0.305.", code("f()", printed("0.305"))),
    "base of a power": ("Add 10 pairs.", code("f()", printed("10^6"))),
    "exponent": ("Add 24 pairs.", code("f()", printed("10^-24 3e-24"))),
    "percentage for a count": ("Add 24 pairs.", code("f()", printed("error 24 %"))),
    "share in an output": ("It is 97 % there.", code("f()", printed("0.97"))),
    "comment": ("All 1437 agree.", code("f()  # 1437")),
    "docstring": ("All 1437 agree.", code('def f():\n    """All 1437."""')),
    "format specification": ("Add 24 pairs.", code("print(f'{x:24}')")),
    "beside a field": ("Add 24 pairs.", code("print(f'{x}24 24{x}')")),
    "picture's size": ("All 1008 agree.", code("f()", picture())),
    "warning": (
        "All 1437 agree.",
        code("f()", v4.new_output("stream", name="stderr", text="1437")),
    ),
    "other sentence's source": (f"So it was ({SOURCE}). It has 28.54 % there.", code("f()")),
    "sentence after et al.": (f"See He et al. ({SOURCE}). All 1437 agree.", code("f()")),
    "link to a chapter": ("It has 28.54 % in [chapter 02](02_toy.ipynb).", code("f()")),
    "other row's source": (f"| a | b |\n|---|---|\n| 1 | {SOURCE} |\n| 1437 | x |", code("f()")),
    "source of the paragraph above": (f"So it was ({SOURCE}).\n\n- All 1437 agree.", code("f()")),
    "the same number in the prose": ("All `1437` agree, all 1437.", code("f()")),
}


@pytest.mark.parametrize("case", PROOFS)
def test_proof_is_seen(case, alarms):
    assert alarms(*PROOFS[case]) == []


@pytest.mark.parametrize("case", NO_PROOFS)
def test_what_proves_nothing_is_not_taken_for_proof(case, alarms):
    assert len(alarms(*NO_PROOFS[case])) == 1


@pytest.fixture
def record(tmp_path):
    file = tmp_path / "results" / "deep" / "run_1.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"error": [0.2854, 0.0625], "images": 1437, "note": "1999"}))
    return code("open('../results/deep/run_1.json')")


@pytest.mark.parametrize("prose", ["All 1437 agree.", "It is 28.54 %.", "It is 6.25 %."])
def test_record_proves(prose, alarms, record):
    assert alarms(prose, record) == []


@pytest.mark.parametrize(
    "prose", ["All 1999 agree.", "It is 28.55 %.", "It is 28.5 %.", "Add 6.25 s."]
)
def test_record_proves_its_own_numbers_only(prose, alarms, record):
    assert len(alarms(prose, record)) == 1


def test_record_proves_nothing_where_it_is_not_named(alarms, record):
    assert len(alarms("All 1437 agree.", code("f()"))) == 1


@pytest.mark.parametrize("content", [None, "1437 and"])
def test_record_that_cannot_be_read_is_told(content, alarms, tmp_path):
    if content:
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "a.json").write_text(content)
    (told,) = alarms("Look.", code("load('results/a.json')"))
    assert "cell 2: names the record results/a.json" in told


def test_record_is_found_from_the_solutions_too(tmp_path, record):
    path = tmp_path / "chapters" / "solutions" / "01_toy.ipynb"
    assert found("All 1437 agree.", record, path=path) == []


# One character changed

STATED = {
    "1437": ("All {} of them.", "1437"),
    "14,362": ("All {} of them.", "14362"),
    "28.54": ("It errs on {} %.", "28.54 %"),
    "0.305": ("It is {} there.", "0.305"),
    "97": ("It errs on {} %.", "97 %"),
    "1.2": ("It is {}× faster.", "1.2"),
    "24": ("It has {} pairs.", "24"),
    "40": ("It runs {} seconds.", "40"),
    "10^6": ("It is ${}$ there.", "10^6"),
    "10^{-24}": ("It is ${}$ there.", "10^-24"),
    "1.5×10⁶": ("It is {} there.", "1.5e+06"),
    "11.7 million": ("It has {} parameters.", "11,700,000"),
    "-0.305": ("It is {} there.", "-0.305"),
}


def changes(number):
    """Every number that differs from this one in one digit, and still states something."""
    for digits in ("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"):
        for place, old in enumerate(number):
            for new in set(digits) - {old} if old in digits else ():
                changed = number[:place] + new + number[place + 1 :]
                # With another base it is no power of ten; 0.005 has one significant digit.
                bases = [base for base in ("×10", "10^") if base in number]
                if all(base in changed for base in bases) and "0.00" not in changed:
                    yield changed


@pytest.mark.parametrize("number", STATED)
def test_each_digit_changed_is_caught(number, alarms):
    sentence, proof = STATED[number]
    cell = code("f()", printed(proof))
    assert alarms(sentence.format(number), cell) == []
    for other in changes(number):
        assert len(alarms(sentence.format(other), cell)) == 1, other


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("1437 there", "143 there"),
        ("1437 there", "14377 there"),
        ("28.54 there", "2.854 there"),
        ("-0.305 there", "0.305 there"),
        ("$10^{-24}$ there", "$10^{24}$ there"),
        ("11.7 million weights", "11.7 billion weights"),
        ("seven layers", "eleven layers"),
        ("18 to 29 %", "19 to 29 %"),
        ("3:2 in all", "3:4 in all"),
    ],
)
def test_other_changes_are_caught(true, false, alarms):
    cell = code("f()", printed("1437 28.54 -0.305 10^-24 11,700,000 7, 18 29; 3 2"))
    assert alarms(f"It is {true}.", cell) == []
    assert len(alarms(f"It is {false}.", cell)) == 1


@given(number=st.integers(100, 999), place=st.integers(0, 2), digit=st.sampled_from("123456789"),
       others=st.lists(st.integers(0, 2000), max_size=5))  # fmt: skip
def test_a_changed_digit_is_caught_unless_printed_too(
    number, place, digit, others, tmp_path_factory
):
    path = tmp_path_factory.getbasetemp() / "chapters" / "01_toy.ipynb"
    cell = code("f()", printed(" ".join(map(str, [*others, number]))))
    changed = str(number)[:place] + digit + str(number)[place + 1 :]
    assert found(f"All {number} of them.", cell, path=path) == []
    caught = found(f"All {changed} of them.", cell, path=path) != []
    assert caught == (int(changed) not in [*others, number])
