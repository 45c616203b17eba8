"""The rollouts and images that a report carries, as many as its size allows, spread over the run."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from rl.records.rollout_records import RolloutRecord
from rl.records.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class PageLimits:
    """Bytes that rollouts and images may take in the page, as they stand there (base64 for images)."""

    rollout_bytes: int = 12 * 2**20
    image_bytes: int = 12 * 2**20


@dataclass(frozen=True, slots=True)
class ShownRollouts:
    """`images` maps a file name to a data URL. `notes` say what was left out and where it lies."""

    records: tuple[RolloutRecord, ...]
    images: dict[str, str]
    notes: tuple[str, ...]


def shown_rollouts(folder: RunFolder, limits: PageLimits) -> ShownRollouts:
    """Whole steps, the last and the first one first, then those between them; images in the same order."""
    kept: dict[int, tuple[RolloutRecord, ...]] = {}
    images: dict[str, str] = {}
    left_out: set[str] = set()
    lost: set[str] = set()
    rollout_bytes = image_bytes = 0
    steps = folder.rollout_steps()
    for step in spread(steps):
        size = folder.rollouts_path(step).stat().st_size
        if rollout_bytes + size > limits.rollout_bytes:
            continue
        rollout_bytes += size
        kept[step] = folder.rollouts(step)
        for name in dict.fromkeys(name for record in kept[step] for name in record.images):
            if name in images or name in left_out or name in lost:
                continue
            path = folder.images_path / name
            if not path.exists():
                lost.add(name)
                continue
            url = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
            if image_bytes + len(url) > limits.image_bytes:
                left_out.add(name)
                continue
            image_bytes += len(url)
            images[name] = url
    records = tuple(record for step in sorted(kept) for record in kept[step])
    return ShownRollouts(records, images, tuple(_notes(len(steps) - len(kept), left_out, lost, limits)))


def spread(values: Sequence[int]) -> list[int]:
    """The last, the first, then the middles of ever smaller gaps: any beginning of it covers the whole."""
    if len(values) <= 2:
        return list(reversed(values))
    ordered = [values[-1], values[0]]
    gaps = [(0, len(values) - 1)]
    while gaps:
        left, right = gaps.pop(0)
        middle = (left + right) // 2
        if middle > left:
            ordered.append(values[middle])
            gaps += [(left, middle), (middle, right)]
    return ordered


def _notes(num_steps: int, left_out: set[str], lost: set[str], limits: PageLimits) -> list[str]:
    notes = []
    if num_steps:
        notes.append(
            f"{num_steps} recorded steps are left out: this page keeps to {_mib(limits.rollout_bytes)} of rollouts. See rollouts/."
        )
    if left_out:
        notes.append(f"{len(left_out)} images are left out: this page keeps to {_mib(limits.image_bytes)} of images. See rollouts/images/.")
    if lost:
        notes.append(f"{len(lost)} images are missing from rollouts/images/.")
    return notes


def _mib(size: int) -> str:
    return f"{size / 2**20:.3g} MiB"
