"""Tables that the `datasets` library reads: from the hub, its cache, or a folder it saved."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import TaskError, nearest
from tasks.table import BATCH_ROWS, Row, as_written

if TYPE_CHECKING:
    import datasets

SAVED = ("state.json", "dataset_dict.json")


@dataclass(frozen=True, slots=True)
class HfTable:
    """A split of a dataset. Images come as `{bytes, path}`: undecoded, as arrow stores them."""

    title: str
    stem: str
    folder: Path
    dataset: "datasets.Dataset"

    def rows(self) -> Iterator[Row]:
        batches = self.dataset.with_format("arrow").iter(batch_size=BATCH_ROWS)
        for number, values in enumerate(itertools.chain.from_iterable(as_written(batch.to_pylist()) for batch in batches), start=1):
            yield Row(number, f"{self.title} row {number}", values)


def open_hub_table(name: str) -> HfTable:
    """`<dataset>[:<configuration>][:<split>]`; the dataset may be a saved folder, which has no configuration. Without a split: `train`."""
    dataset, *rest = name.split(":")
    if not dataset or len(rest) > 2 or not all(rest):
        raise TaskError(f"hf:{name} is not of the form hf:<dataset>[:<configuration>][:<split>]")
    split = rest[-1] if rest else "train"
    folder = Path(dataset).expanduser()
    if any((folder / file).is_file() for file in SAVED):
        return open_folder_table(folder, split)
    import datasets

    configuration = rest[0] if len(rest) == 2 else None
    try:
        loaded = datasets.load_dataset(dataset, configuration, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise TaskError(f"hf:{name} cannot be loaded: {error}") from error
    return HfTable(f"hf:{name}", Path(dataset).name, Path(), loaded)


def open_folder_table(folder: Path, split: str) -> HfTable:
    """A split of what `save_to_disk` wrote; a folder that holds one dataset has no splits, and is taken whole."""
    if not any((folder / file).is_file() for file in SAVED):
        raise TaskError(f"{folder} is a folder, but none that datasets.save_to_disk wrote")
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise TaskError(f"{folder} cannot be loaded: {error}") from error
    if isinstance(loaded, datasets.DatasetDict):
        return HfTable(f"{folder}:{split}", folder.name, folder, _split(loaded, split, folder))
    return HfTable(str(folder), folder.name, folder, loaded)


def _split(splits: "datasets.DatasetDict", split: str, folder: Path) -> "datasets.Dataset":
    if split not in splits:
        names: Sequence[str] = list(splits)
        raise TaskError(f"{folder} has no split {split!r}; {nearest(split, names)} (as in hf:{folder}:{names[0]})")
    return splits[split]
