"""One spelling for one meaning: LaTeX, plain and unicode notation brought to a single form before anything is parsed.

Braces of sets become ⦃ ⦄ and matrices ⟬ ⟭, so that plain brackets can be counted.
"""

import re
from collections.abc import Callable

_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "﹣": "-",
    "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/",
    "≤": r"\leq ", "⩽": r"\leq ", "≥": r"\geq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ", "°": r"^{\circ}", "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}",
    "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "μ": r"\mu ", "σ": r"\sigma ",
    "φ": r"\phi ", "ω": r"\omega ", "√": r"\sqrt ", "∖": r"\setminus ", "，": ",", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")",
    "［": "[", "］": "]", "｛": "{", "｝": "}", "＝": "=", "＋": "+", "－": "-", "＜": "<", "＞": ">",
    "∶": ":", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "Ω": r"\Omega ", "\u2126": r"\Omega ", "≡": r"\equiv ", "↦": r"\mapsto ",
    "％": "%", "．": ".", "。": ".", "／": "/",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅕": r"\frac{1}{5}",
    "⅛": r"\frac{1}{8}", "⅙": r"\frac{1}{6}",
    "℃": r"^{\circ}C", "℉": r"^{\circ}F", "′": "'", "″": "''", "￥": "¥", "\u00a0": " ", "\u3000": " ", "\u2009": " ", "\u202f": " ",
}  # fmt: skip
_TRANSLATION = str.maketrans(_CHARACTERS | {chr(0xFF10 + digit): str(digit) for digit in range(10)})
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))

_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:m?left|m?right|[bB]igg?[lrm]?)(?![a-zA-Z])\s*\.?(?=[^a-zA-Z]|$)", ""),
        (r"\\(?:left|right)(?=\\)", ""),
        (r"\\(?:displaystyle|textstyle|limits|nolimits|scriptstyle|mathstrut|hfill|noindent)(?![a-zA-Z])", " "),
        (r"\\(?:quad|qquad|enspace|thinspace|space)(?![a-zA-Z])|(?<!\\)\\[;: ]|~", " "),
        (r"(?<=\d)\{,\}\s*(?:\\!)?\s*(?=\d{3})|(?<=\d),\s*\\!\s*(?=\d{3})|(?<=\d)\\,\s*(?=\d{3}(?!\d))", ","),
        (r"(?<!\\)\\[!,/]", " "),
        (r"\.(?=\s*[\])}])", ""),
        (r"\\hspace\*?\{[^{}]*\}|\\[vh]?phantom\{[^{}]*\}", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
        (r"\\(?:leqslant|leqq|le)(?![a-zA-Z])|<=|=<", r"\\leq "),
        (r"\\(?:geqslant|geqq|ge)(?![a-zA-Z])|>=", r"\\geq "),
        (r"\\(?:not\s*=|ne)(?![a-zA-Z])|!=", r"\\neq "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\(?:times|ast|cdotp|bullet)(?![a-zA-Z])|\*\*?", lambda m: "^" if m.group() == "**" else r"\cdot "),
        (r"\\div(?![a-zA-Z])", "/"),
        (r"\\(?:infin|infinity)(?![a-zA-Z])|(?<![\\a-zA-Z])(?:infinity|oo|inf)(?![a-zA-Z])", r"\\infty "),
        (r"\\(?:varnothing)(?![a-zA-Z])", r"\\emptyset "),
        (r"\\(?:cupdot|sqcup|bigcup)(?![a-zA-Z])", r"\\cup "),
        (r"\\(?:approxeq|simeq|thickapprox)(?![a-zA-Z])", r"\\approx "),
        (r"\\(?:backslash|smallsetminus|diagdown)(?![a-zA-Z])", r"\\setminus "),
        (r"\\(?:lvert|rvert|vert)(?![a-zA-Z])", "|"),
        (r"\\mid(?![a-zA-Z])", "|"),
        (r"\\mathbb\s*([A-Z])(?![a-zA-Z])", r"\\mathbb{\1}"),
        (r"\\equiv(?![a-zA-Z])(?!.*mod)", "="),
        (r"(?<![a-zA-Z\\])([a-zA-Z])\s*:\s*([a-zA-Z])\s*\\mapsto(?![a-zA-Z])", r"\1(\2)="),
        (r"\{([-+])\}", r"\1"),
        (r"\\(?:langle|lgroup|lparen)(?![a-zA-Z])", "("),
        (r"\\(?:rangle|rgroup|rparen)(?![a-zA-Z])", ")"),
        (r"\\(?:lbrack)(?![a-zA-Z])", "["),
        (r"\\(?:rbrack)(?![a-zA-Z])", "]"),
        (r"\\(?:\{|lbrace(?![a-zA-Z]))", "⦃"),
        (r"\\(?:\}|rbrace(?![a-zA-Z]))", "⦄"),
        (r"\\begin\{([pb]?matrix|small[pb]?matrix|array)\}(?:\{[clr|\s]*\})?", "⟬"),
        (r"\\end\{([pb]?matrix|small[pb]?matrix|array)\}", "⟭"),
        (r"\\(?:vec|overrightarrow|bm|boldsymbol|mathbf|mathit|mathsf|mathcal|pmb|hat)\s*\{([^{}]*)\}", r"\1"),
        (r"\\(?:mathrm|operatorname\*?|rm|textrm|textnormal|textbf|textit|textsf|mbox|hbox)\s*\{", r"\\text{"),
        (r"\\text\{\s*\}", " "),
        (r"(?<=[^\u4e00-\u9fff{])\s*或者?\s*(?=[^\u4e00-\u9fff}])", " or "),
        (r"(?<=[^\u4e00-\u9fff{])\s*(?:并?且|以?及|和|与)\s*(?=[^\u4e00-\u9fff}])", " and "),
        (r"\\text\{\s*(e|i|d)\s*\}|(?<![\d})])(?<![\d})]\s)\\text\{\s*([A-Z])\s*\}", r"{\1\2}"),
        (r"\\text\{\s*([-+]?\d[\d.,/]*)\s*\}", r"\1"),
        (r"\\text\{\s*((?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|ln|log|exp|max|min|gcd|lcm|sgn)\s*\}", r"\\\1 "),
        (r"\\(?:varphi)(?![a-zA-Z])", r"\\phi "),
        (r"\\(?:varepsilon)(?![a-zA-Z])", r"\\epsilon "),
        (r"(?<![\\a-zA-Z])a(sin|cos|tan)(?=\s*\()", r"\\arc\1 "),
        (r"\\(?:arctg|tg)(?![a-zA-Z])", lambda m: r"\arctan " if "arc" in m.group() else r"\tan "),
        (r"\\?(?:per\s?cent(?:age)?|pct|%)(?![a-zA-Z])", "%"),
        (r"\^\s*\{?\s*\\?(?:circ|degree)\s*\}?|\\degree(?![a-zA-Z])|\\text\{\s*degrees?\s*\}|(?<=\d)\s*degrees?\b", "°"),
        (r"\\prime(?![a-zA-Z])", "'"),
        (r"(?<![a-zA-Z\\])C_\s*\{?(\d+)\}?\s*\^\s*\{?(\d+)\}?", r"\\binom{\1}{\2}"),
        (r"(?<![a-zA-Z\\])[AP]_\s*\{?(\d{1,3})\}?\s*\^\s*\{?(\d{1,3})\}?", r"\\frac{\1!}{(\1-\2)!}"),
        (r"(?<=\d)\s*\^?\s*\{?\s*(?:\\text\{\s*)?(?:st|nd|rd|th)(?![a-zA-Z])\s*\}?\s*\}?", ""),
        (r"°\s*(?:\\text)?\{\s*([CF])\s*\}", r"°\1"),
        (r"\\frac\s*\{\s*\\text\{([^{}]*)\}\s*\}\s*\{\s*\\text\{([^{}]*)\}((?:\s*\^\s*\{?\d\}?)?)\s*\}", r"\\text{\1/\2}\3"),
        (r"(\\pi\b.*?)\s*(?:\\text\{\s*rad(?:ian)?s?\s*\}|\brad(?:ian)?s?\b)\.?\s*$", r"\1"),
        (r"(?<![\\a-zA-Z])sqrt(?![a-zA-Z])", r"\\sqrt "),
        (r"(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi "),
        (r"(?<![\\a-zA-Z])(arc(?:sin|cos|tan)|sin|cos|tan|cot|sec|csc|ln|log|exp)(?=\s*[(^\d\\])", r"\\\1 "),
        (r"\\sqrt\s*(?=[(])", r"\\sqrt"),
        (r"\\sqrt\s*\[\s*([3579])\s*\]\s*\{\s*-\s*(\d+|[a-z]|\\frac\s*\{\w+\}\s*\{\w+\})\s*\}", r"(-\\sqrt[\1]{\2})"),
        (r"(?<![\\a-zA-Z])(gcd|lcm|max|min)(?=\s*[(⦃])", r"\\\1 "),
        (r"\\(max|min|gcd|lcm)\s*⦃([^⦃⦄]*)⦄", r"\\\1 (\2)"),
        (r"\{\}_\s*\{?(\d+)\}?\s*C_\s*\{?(\d+)\}?", r"\\binom{\1}{\2}"),
        (r"\\lg(?![a-zA-Z])", r"\\log_{10}"),
        (r"\\(?:dots[cbmio]?|ldots|cdots)(?![a-zA-Z])|…|\.\.\.", "…"),
    )
)
_ARGUMENT = r"(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|[\da-zA-Z]|\\(?!frac|sqrt|text)[a-zA-Z]+|\\sqrt\s*(?:\{[^{}]*\}|\d))"
_ARGUMENTS = re.compile(rf"\\(frac|binom)\s*{_ARGUMENT}\s*{_ARGUMENT}")
_SYSTEM = re.compile(
    r"(?:\\left\s*)?(?:\\\{\s*)?\\begin\{(?P<name>cases|array|aligned)\}(?:\{[clr|\s]*\})?"
    r"(?P<rows>.*?)\\end\{(?P=name)\}(?:\s*\\right\s*\.)?",
    re.DOTALL,
)
_NOTHING = re.compile(
    r"(?:\\text\{\s*)?(?:(?:there (?:is|are) )?no (?:real )?(?:solutions?|roots?)(?: exists?)?|(?:the )?empty set|无(?:实数)?解|空集)"
    r"\s*\}?[.。]?",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"(?:\\text\{\s*)?"
    r"(?:(?:the set of )?(?:all|any) real(?: numbers?|s)?(?: [a-z])?|(?:全体|任意|所有|一切)实数|实数集)\s*\}?"
    r"(?:[.。]?$|\s*(?:\\text\{\s*)?(?:,? ?(?:except|other than|but)(?: for)?)\s*\}?\s*(?:[a-z]\s*=\s*)?(?P<holes>[^a-zA-Z]+)\}?$)",
    re.IGNORECASE,
)
"""All reals, perhaps but for some."""
_LEAD = re.compile(
    r"^(?:\\text\{\s*)?(?:(?:the )?(?:final )?answer(?: is\b\s*:?|\s*[:：])|(?:最终)?答案\s*[:：是为]"
    r"|(?:一共|总共|共)有?(?=\s*[\d一二两三四五六七八九十百]))"
    r"\s*\}?\s*(?=[^\s}])",
    re.IGNORECASE,
)
_OUTWARD = re.compile(r"(?:^|\\cup|\\in|=)\s*\]|\[\s*(?:$|\\cup)")
_DOLLARS = re.compile(r"^\$?\s*\\\$\s*([\d.,{}!\\]*\d)\s*\$?$|^\$\s*([\d.,]*\d)$")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_JOINING_TEXT = re.compile(r"\s*,?\s*(?:and|or|和|或|及|与|以及)\s*", re.IGNORECASE)
_QUANTIFIER = re.compile(r"[,(]?\s*(?:\\text\{\s*)?(?:for\s+(?:all|some|any|every|each)\b|其中|where\b).*$", re.DOTALL)

_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})*,0\d\d(?:,\d{3})*(?!\d|,\d)")
"""`1,000,000`: no list has `000` in it."""
_EXCLUDED = re.compile(r"(?P<name>[a-zA-Z])\s*\\neq\s*(?P<values>[^,=<>\\()\[\]]+(?:,[^,=<>\\()\[\]]+)+)")
_INTEGER = re.compile(r"(?<=\S)\s*[,;(]\s*[kmn]\s*\\in\s*(?:\\mathbb\s*)?\{?\s*Z\s*\}?\s*\)?(?=\s*⦄?[.\s]*$)")
"""`2k\\pi (k \\in \\mathbb{Z})`: what counts periods is an integer, said or not."""


def normalised(text: str) -> str:
    """The single form of an expression in LaTeX, plain or unicode notation; `$` signs are gone, text stays in `\\text{}`."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+", lambda m: "^{" + "".join(_SUPERSCRIPTS[c] for c in m.group()) + "}", text)
    text = re.sub(r"[₀₁₂₃₄₅₆₇₈₉]+", lambda m: "_{" + "".join(_SUBSCRIPTS[c] for c in m.group()) + "}", text)
    text = text.translate(_TRANSLATION)
    text = _DOLLARS.sub(lambda m: rf"{m[1] or m[2]}\text{{ dollars}}", text.strip()).replace(r"\$", "").replace("$", "")
    text = re.sub(r"(?<!\\)\\[\[\]()]", " ", text)
    text = _LEAD.sub("", re.sub(r"^\s*\*\*(.+?)\*\*\s*$", r"\1", text))
    text = _SYSTEM.sub(_system, text)
    if _NOTHING.fullmatch(text.strip()):
        return r"\emptyset"
    if line := _LINE.fullmatch(text.strip()):
        text = r"\mathbb{R}" + (rf"\setminus \{{{line['holes']}\}}" if line["holes"] else "")
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z]{2,})", r"\\", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _INTEGER.sub("", _QUANTIFIER.sub(_quantifier, text))
    text = _TEXT.sub(_joined_text, _inward(text))
    pieces = re.split(r"(\\text\{[^{}]*\})", text)
    text = "".join(piece if place % 2 else braced(piece) for place, piece in enumerate(pieces))
    text = re.sub(r"\s+", " ", text).strip().rstrip(".").removesuffix("\\\\").strip()
    text = re.sub(r"^\{(\s*[a-zA-Z]\s*[|:][^{}]*)\}$", r"⦃\1⦄", text)
    return _THOUSANDS.sub(lambda match: match.group().replace(",", ""), _EXCLUDED.sub(_each_excluded, text))


def _inward(text: str) -> str:
    """`]1, 2[` as `(1, 2)`."""
    if not _OUTWARD.search(text):
        return text
    sides = {"]": "(", "[": "["}, {"[": ")", "]": "]"}
    return re.sub(r"([\[\]])([^\[\]]*,[^\[\]]*)([\[\]])", lambda m: sides[0][m[1]] + m[2] + sides[1][m[3]], text)


def _each_excluded(match: re.Match[str]) -> str:
    """`x \\neq 0, 1` as `x \\neq 0 and x \\neq 1`; what follows may be a list of its own in any other place."""
    if match.group() != match.string.strip():
        return match.group()
    return " and ".join(rf"{match['name']} \neq {value.strip()}" for value in match["values"].split(","))


def _quantifier(match: re.Match[str]) -> str:
    """Nothing, unless it says another value where the answer is a number: `12 \\text{ where } 15`."""
    before = re.sub(r"\\(?:text\{[^{}]*\}|[a-zA-Z]+)", "", match.string[: match.start()])
    return match.group() if not re.search("[a-zA-Z]", before) and re.search(r"\d", match.group()) else ""


def braced(text: str) -> str:
    """Arguments in braces: `\\frac12`, `\\sqrt2`, `x^10`, `x^-1`, `a_1`, `\\sqrt(2)`."""
    text = _ARGUMENTS.sub(lambda match: rf"\{match[1]}{_argument(match[2])}{_argument(match[3])}", text)
    text = re.sub(r"\\sqrt\s*(\[[^\]]*\])?\s*(\d+|[a-zA-Z]|\\[a-zA-Z]+)(?!\{)", lambda m: rf"\sqrt{m.group(1) or ''}{{{m.group(2)}}}", text)
    text = re.sub(r"\\sqrt\s*(\([^()]*\))", r"\\sqrt{\1}", text)
    text = re.sub(r"\^\s*(-?\d+)", r"^{\1}", text)
    text = re.sub(r"\^\s*(\([^()]*\))", r"^{\1}", text)
    return re.sub(r"_\s*(\d+|[a-zA-Z])", r"_{\1}", text)


def _argument(text: str) -> str:
    return text if text.startswith("{") else f"{{{text}}}"


def compact(text: str) -> str:
    """For equality of strings: no blanks but between digits, no braces around single characters and upright letters."""
    text = re.sub(r"(?<=\d)\s+(?=\d)", "_", _TEXT.sub(r"\1", text))
    return re.sub(r"\{(\w)\}", r"\1", re.sub(r"\s+|\\cdot|\\text", "", text))


def _system(match: re.Match[str]) -> str:
    """Equations in braces are a solution by name, `(x = 1, y = 2)`; what has columns is left as it is."""
    rows = [row.strip(" ,;.\n") for row in re.split(r"\\\\(?:\[[^\]]*\])?", match["rows"]) if row.strip()]
    braced_once = match["name"] == "cases" or r"\{" in match.group()[: match.start("rows") - match.start()]
    if not braced_once or len(rows) < 2 or any("&" in row or row.count("=") != 1 for row in rows):
        return match.group()
    return f"({', '.join(rows)})"


def _joined_text(match: re.Match[str]) -> str:
    inner = match.group(1)
    if _JOINING_TEXT.fullmatch(inner):
        return " or " if re.search("or|或", inner, re.IGNORECASE) else ","
    return match.group()
