"""Our problems as the parquet files that verl reads.

| column | holds |
|---|---|
| `data_source` | the task: verl's metrics are by it |
| `prompt` | chat messages; `<image>` stands where an image belongs |
| `images` | PNG bytes, in order |
| `reward_model` | `ground_truth`: the target as JSON, for verl's dumps |
| `extra_info` | `id`, `index`, and for the reward `target`, `reward` and `prompt`, each as JSON |
"""

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from rl.config.error import ConfigError
from rl.integrations.verl.problem_json import prompt_json, reward_json, target_json
from tasks.message import ImagePart, Message, TextPart
from tasks.problem import Problem
from tasks.source import Source

IMAGE = "<image>"
# verl splits the text of a prompt with images at these.
PLACEHOLDERS = (IMAGE, "<video>", "<audio>")
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [("id", pa.string()), ("index", pa.int64()), ("target", pa.string()), ("reward", pa.string()), ("prompt", pa.string())]
            ),
        ),
    ]
)
ROWS_AT_ONCE = 256


def batches_in_order(sources: Mapping[str, Source], slots: Mapping[str, int], steps: int) -> Iterator[Problem]:
    """The problems of `steps` batches: each holds every task in its ratio, as in our own loop when nothing is replaced."""
    for step in range(steps):
        for task, number in slots.items():
            for place in range(number):
                yield sources[task].problem(step * number + place)


def write_data(problems: Iterable[Problem], file: Path) -> int:
    """Writes the rows in the given order and returns their number. Raises `ConfigError` for a problem that verl would misread."""
    rows = (_row(problem, index) for index, problem in enumerate(problems))
    written = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(file, SCHEMA) as writer:
        while part := list(itertools.islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(part, schema=SCHEMA))
            written += len(part)
    return written


def _row(problem: Problem, index: int) -> dict[str, object]:
    images = [image for message in problem.messages for image in message.images]
    target = target_json(problem.target)
    return {
        "data_source": problem.source,
        "prompt": [{"role": message.role, "content": _content(problem, message, has_images=bool(images))} for message in problem.messages],
        "images": [{"bytes": _png(image)} for image in images],
        "reward_model": {"style": "rule", "ground_truth": target},
        "extra_info": {
            "id": problem.id,
            "index": index,
            "target": target,
            "reward": reward_json(problem.reward),
            "prompt": prompt_json(problem.messages),
        },
    }


def _content(problem: Problem, message: Message, *, has_images: bool) -> str:
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    if has_images and any(placeholder in text for text in texts for placeholder in PLACEHOLDERS):
        raise ConfigError(f"problem {problem.id}: its text holds one of {', '.join(PLACEHOLDERS)}, which verl would take for a medium")
    return "".join(IMAGE if isinstance(part, ImagePart) else part.text for part in message.parts)


def _png(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
