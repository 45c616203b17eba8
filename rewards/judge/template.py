"""Templates of the judge: one YAML file with `scale`, `pass_at`, `system` and `user`, the last two in Jinja.

A template sees `question`, `references`, `answer` and `fence`. It must put each foreign text between `<fence>` and `</fence>`; the fence is
a name that none of these texts contains, so none of them can close it. Control tokens of chat templates (`<|im_end|>`, `[/INST]`) in them
are broken up: a server would read them as the end of the turn.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rewards.errors import RewardError, unknown
from rewards.judge.verdict import ScaleName

FOLDER = Path(__file__).parent / "templates"
FIELDS: Mapping[str, tuple[type, ...]] = {"scale": (str,), "pass_at": (int, float), "system": (str,), "user": (str,)}
FENCE_CHARS = 16

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_CONTROL = re.compile(
    r"<(?=[|\uff5c]|/?(?:s|think|tool_call|tool_response|bos|eos|(?:start|end)_of_turn)>|</?SYS>>)|\[(?=/?INST\])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Template:
    """`pass_at` is the least score whose verdict is right. `version` changes with any of the other fields."""

    scale: ScaleName
    pass_at: float
    system: str
    user: str

    @property
    def version(self) -> str:
        fields = json.dumps([self.scale, self.pass_at, self.system, self.user], ensure_ascii=False)
        return hashlib.sha256(fields.encode()).hexdigest()[:16]

    def render(self, question: str, references: Sequence[str], answer: str) -> tuple[str, str]:
        """System and user text. Deterministic: the same texts get the same fence, so that a recorded request is found again."""
        texts = [harmless(text) for text in (question, answer, *references)]
        values = {"question": texts[0], "answer": texts[1], "references": texts[2:], "fence": fence_for(texts, self.version)}
        return _rendered(self.system, values), _rendered(self.user, values)


def load_template(name: str) -> Template:
    """A template of this package by name, or a file by its path (`*.yaml`). Raises `RewardError`."""
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        if name.endswith(".yaml"):
            raise RewardError(f"judge template {name}: there is no such file")
        raise unknown("judge template", name, [file.stem for file in FOLDER.glob("*.yaml")])
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RewardError(f"judge template {path}: {error}") from error
    return _checked(path, fields)


def fence_for(texts: Sequence[str], salt: str) -> str:
    """A name that stands in none of the texts, whatever they try: derived from them, and derived again while one contains it."""
    seed = json.dumps([salt, *texts])
    everything = "\n".join(texts).lower()
    while True:
        seed = hashlib.sha256(seed.encode()).hexdigest()
        name = f"text-{seed[:FENCE_CHARS]}"
        if seed[:FENCE_CHARS] not in everything:
            return name


def harmless(text: str) -> str:
    """The text without invisible commands, and with the control tokens of chat templates broken by a space."""
    clean = _INVISIBLE.sub("", text.encode("utf-8", "replace").decode())
    return _CONTROL.sub(lambda found: f"{found.group()} ", clean)


def _checked(path: Path, fields: object) -> Template:
    if not isinstance(fields, dict) or set(fields) != set(FIELDS):
        raise RewardError(f"judge template {path}: it must have exactly the fields {', '.join(FIELDS)}")
    for name, kind in FIELDS.items():
        if not isinstance(fields[name], kind) or isinstance(fields[name], bool):
            raise RewardError(f"judge template {path}: {name} is {fields[name]!r}")
    if fields["scale"] not in get_args(ScaleName):
        raise unknown(f"scale in judge template {path}:", fields["scale"], get_args(ScaleName))
    template = Template(fields["scale"], float(fields["pass_at"]), fields["system"], fields["user"])
    try:
        shown = template.render("a question", ["a reference"], "an answer")[1]
    except TemplateError as error:
        raise RewardError(f"judge template {path}: {error}") from error
    fence = fence_for(["a question", "an answer", "a reference"], template.version)
    if re.search(rf"<{fence}>\s*an answer\s*</{fence}>", shown) is None:
        raise RewardError(f"judge template {path}: user must hold the answer between <{{{{ fence }}}}> and </{{{{ fence }}}}>")
    return template


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


def _rendered(source: str, values: Mapping[str, object]) -> str:
    return _environment().from_string(source).render(values).strip()
