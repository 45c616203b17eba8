"""Whether a name can stand for a checkpoint: what loading it would find late, or not at all."""

from pathlib import Path

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model")


def checkpoint_fault(name: str) -> str | None:
    """What the folder lacks; None for a whole one, and for a name that the hub may know.

    Without its files transformers makes an empty tokenizer of the model's kind, and says nothing.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        is_path = name.startswith((".", "/", "~")) or name.count("/") > 1
        return f"there is no folder {name} seen from {Path.cwd()}" if is_path else None
    if not (folder / "config.json").exists():
        return f"the folder {name} has no config.json; give the folder of a Hugging Face checkpoint"
    if not any((folder / file).exists() for file in TOKENIZER_FILES):
        return f"the folder {name} has no tokenizer ({', '.join(TOKENIZER_FILES)}); copy it from the checkpoint that this one was made from"
    return None
