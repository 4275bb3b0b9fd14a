"""Numbers in text: finding them, reading their values, telling which of them state something."""

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

# Marks that stand in a text for what is not text; none of them is a word character.
FORMULA, FORMULA_END, HOLE, SOURCE, GAP = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"

ONES = "one two three four five six seven eight nine"
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: n for n, word in enumerate(f"{ONES} {TEENS}".split(), 1)}
SMALL |= {word: 10 * n for n, word in enumerate(TENS.split(), 2)}
LARGE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
LARGE |= {"k": 10**3, "M": 10**6}

_ONES, _TEENS, _TENS = (words.replace(" ", "|") for words in (ONES, TEENS, TENS))
_SMALL = rf"(?:(?:{_TENS})(?:-(?:{_ONES}))?|{_TEENS}|{_ONES})"
_LARGE = "thousand|million|billion|trillion"
NUMBER = re.compile(
    rf"""
    (?: (?<![\w.)\]%-])(?P<sign>[-+]) | (?<![\w.{GAP}])(?<![^\W\d_]-) )  # "ResNet-18" is a name
    (?: 10(?:\^|\*\*)\{{?(?P<power>[-+]?\d{{1,4}})\}}?
      | (?!10(?:\^|\*\*))
        (?P<digits>(?:\d{{1,3}}(?:[,\u00a0\u2009\u202f]\d{{3}})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)
        (?: \.?[eE](?P<e>[-+]?\d{{1,4}})
          | \s*[×·*]\s*10(?:\^|\*\*)\{{?(?P<times>[-+]?\d{{1,4}})\}}? )?
    )
    (?! \d | \.\d | [^\W\d_]*\d | {GAP} )                      # neither "2.15.0" nor "3fa4"
    (?: \s?(?P<large>[kM]\b|(?:{_LARGE})\b) )?
  | \b(?i:ten[ ]to[ ]the[ ](?P<minus>minus[ ])?(?P<word_power>{_SMALL}))\b
  | \b(?i:(?P<small>{_SMALL})(?:[ -](?P<scale>hundred|{_LARGE}))?)(?=fold\b|\b)
  | (?<!few[ ])(?<!many[ ])(?<!several[ ])\b(?i:(?P<bare>hundred|{_LARGE}))(?=fold\b|\b)
    """,
    re.VERBOSE,
)
KINDS = ("percentage", "ratio", "time", "count")
PERCENT = re.compile(r"[-\s]?(?:%|per\s?cent\b|percentage points?\b)", re.IGNORECASE)
RATIO = re.compile(r"\s?×(?!\s?[\d.])|x\b|\stimes\b|-?fold\b|:(?=\d)")
TIME = re.compile(
    r"[-\s]?(?:[mnµμ]?s|min|h|(?:milli|micro|nano)?seconds?|minutes?|hours?|days?|weeks?"
    r"|months?|years?)\b"
)
# What the book counts. A number before one of these, or one or two words before it, is a count.
NOUNS = """layer pair block parameter channel image pixel px step epoch seed run network model
class path batch sample example weight entry convolution unit neuron filter kernel feature stage
head bit byte kB MB GB TB KiB MiB GiB core GPU CPU device worker rank node iteration update label
position score term branch map vector matrix dimension row column point power FLOP MFLOP GFLOP MAC
multiply-add operation addition shortcut gradient digit depth value token request trial prediction
file experiment picture photograph crop"""
IRREGULAR = {"class": "classes", "entry": "entries", "batch": "batches", "branch": "branches"}
IRREGULAR |= {"matrix": "matrices"}
_NOUN = "|".join(f"{noun}|{IRREGULAR.get(noun, noun + 's')}" for noun in NOUNS.split())
# These end a count: "60 more layers" is one, "add 60 to the layers" is not.
_STOP = """of in the a an and or to at on for with without is are was were be per by from as than
that when if into after before not no it its this these each every them both then so but also
where which while"""
_WORD = rf"(?!\d|(?:{'|'.join(_STOP.split())})\b)[\w{HOLE}'’-]+"
_SYMBOL = "px|[kMGT]i?B|[kMG]?Hz|fps|W|J"
_OF = r"(?:of\s(?:all|its|our|the|their|these|those)\s)?"
COUNT = re.compile(rf"[-\s]{_OF}(?:{_WORD}\s){{0,2}}(?i:{_NOUN})\b|[-\s]?(?:{_SYMBOL})\b")

# A unit in the head of a table's column.
UNIT = re.compile(rf"%|\bper\s?cent\b|(?<!['’])\b(?:{_NOUN}|m?s|min|seconds?|minutes?|hours?)\b")

# Between two numbers that share the unit of the second ("18 to 29 %", "3 of the 8 blocks").
LINK = re.compile(
    r"(?:[\s,;/×–&±-]|\b(?:and|or|to|with|from|of|the|out|versus|vs|against|by|up|but|then)\b)+"
)
# Between a number with a unit and one that takes it over ("24 % (18 to 29)", "28.5 % ± 0.3").
OPENING = re.compile(r"\s?(?:±|\((?:from|between)?)\s?")
LABEL = re.compile(
    r"\b(?i:depths?|widths?|batch sizes?)(?:\sof)?\s(?:\d+(?:,\s|,?\s(?:and|or|to)\s))*$"
)
FACTOR = re.compile(r"\bfactors?(?:\sof)?\s$", re.IGNORECASE)

_REF = r"\d{1,2}(?:\.\d{1,2})*"
_PLURAL = (
    "chapters|exercises|figures|figs|tables|sections|questions|equations|eqs|parts|measurements"
)
_SINGULAR = "|".join(word.removesuffix("s") for word in _PLURAL.split("|"))
# What names a thing and states no amount. ResNet-18, float32 and v1.5 need no entry: in NUMBER,
# digits behind a letter, or behind a letter and a hyphen, are no number.
NAMES = re.compile(
    rf"\b(?:{_PLURAL})\.?\s{_REF}(?:(?:,\s|\sand\s|\sor\s|\sto\s|–|-){_REF})*\b"
    rf"|\b(?:{_SINGULAR}|sec|appendix|step|option|version|page|p|line|item)\.?\s{_REF}\b(?!\s?%)"
    rf"|§\s?{_REF}"
    r"|\b(?:ILSVRC|PyTorch|torch|torchvision|Python|NumPy|CUDA)\s\d+(?:\.\d+)*"
    r"(?:(?:,\s|\sand\s|\sor\s|\sto\s|–)\d+(?:\.\d+)+)*\b"
    r"|(?<=[^\W\d_]-)\d+(?:[-/]\d+)+\b|(?<=[^\W\d_])\d+(?:[-/]\d+)+\b"
    r"|(?<![\d.,])\d{1,2}\s?×\s?\d{1,2}(?:\s?×\s?\d{1,2})?(?![\d.,]*[\d^])(?!\s?(?:px|pixel))",
    re.IGNORECASE,
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


@dataclass
class Number:
    """One number in a text: where it stands, its value, and how it was written."""

    start: int
    end: int  # without the unit
    after: int  # with the unit
    text: str
    value: Decimal
    digits: int  # significant digits as written; 0 for a number word
    power: bool  # written with a power of ten
    kind: str | None  # one of KINDS, or "formula"


def normal(text: str) -> str:
    """The same text with one way to write signs, exponents, products and spaces."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda m: "^" + m[0].translate(_SUPERSCRIPT), text)
    text = text.replace("−", "-").replace("{,}", ",").replace(r"\,", "\u202f").replace(r"\%", "%")
    text = re.sub(r"\\(?:times|cdot)\b\s*", "×", text)
    return re.sub(r"(?<=\d)(\s?)[xX](\s?)(?=\d)", r"\1×\2", text)


def numbers(text: str) -> list[Number]:
    """All numbers in a normal text, in order; percentages have their kind, the others none yet."""
    found = []
    for m in NUMBER.finditer(text):
        percent = PERCENT.match(text, m.end())
        power = any(m[name] for name in ("power", "word_power", "e", "times"))
        kind = "percentage" if percent else None
        after = percent.end() if percent else m.end()
        value, digits = _value(m), _significant(m["digits"] or "")
        found.append(Number(m.start(), m.end(), after, m[0], value, digits, power, kind))
    return found


def _significant(written: str) -> int:
    digits = re.sub(r"[^\d.]", "", written)
    return len((digits.lstrip("0.") if "." in digits else digits).replace(".", ""))


def _value(m: re.Match[str]) -> Decimal:
    if m["power"] or m["word_power"]:
        exponent = int(m["power"]) if m["power"] else _small(m["word_power"])
        value = Decimal(10) ** (-exponent if m["minus"] else exponent)
    elif m["digits"]:
        value = Decimal(re.sub(r"[,\s]", "", m["digits"])).scaleb(int(m["e"] or m["times"] or 0))
        value *= LARGE.get(m["large"], 1)
    else:
        scale = (m["scale"] or m["bare"] or "").lower()
        value = Decimal(_small(m["small"] or "one") * LARGE.get(scale, 1))
    return -value if m["sign"] == "-" else value


def _small(words: str) -> int:
    return sum(SMALL[word] for word in words.lower().split("-"))


def claims(text: str) -> list[Number]:
    """The numbers in a sentence of normal text that state something and so need a proof.

    These are numbers of three or more significant digits, powers of ten, and percentages, ratios,
    times and counts of any size. In a formula only the first two are: $x = -2$ states nothing.
    """
    text = NAMES.sub(lambda m: HOLE * len(m[0]), text)
    formulas = [m.span() for m in re.finditer(f"{FORMULA}[^{FORMULA_END}]*", text)]
    found = numbers(text)
    for number in found:
        if any(start < number.start and number.end < end for start, end in formulas):
            number.kind = "formula"
        elif number.kind is None:
            _find_unit(text, number)
    _share_units(text, found)
    return [n for n in found if n.digits >= 3 or n.power or n.kind in KINDS]


def _find_unit(text: str, number: Number) -> None:
    """Note what the words around a number say that it is."""
    if number.text.lower() == "one":  # an article as often as a number
        return
    for kind, pattern in (("ratio", RATIO), ("time", TIME), ("count", COUNT)):
        if m := pattern.match(text, number.end + text.startswith(FORMULA_END, number.end)):
            number.kind, number.after = kind, m.end()
            return
    if FACTOR.search(text, 0, number.start) or re.search(r"\d:$", text[: number.start]):
        number.kind = "ratio"
    elif LABEL.search(text, 0, number.start):
        number.kind = "count"


def _share_units(text: str, found: list[Number]) -> None:
    """Give a number without a unit that of its neighbour, as in "18 to 29 %" and "2 % (1 to 3)"."""
    for left, right in reversed(list(pairwise(found))):
        if LINK.fullmatch(text, left.end, right.start):
            _inherit(left, right)
    opened = False
    for left, right in pairwise(found):
        linked = LINK.fullmatch(text, left.after, right.start)
        opened = bool(OPENING.fullmatch(text, left.after, right.start) or (opened and linked))
        if opened:
            _inherit(right, left)


def _inherit(number: Number, neighbour: Number) -> None:
    whole = number.value == number.value.to_integral_value()
    if (
        number.kind is None
        and number.text.lower() != "one"
        and (whole or neighbour.kind != "count")
    ):
        number.kind = neighbour.kind
