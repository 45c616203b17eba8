"""Folders of checkpoints: which ones a name stands for, and what tells their content apart."""

from pathlib import Path

import pytest

from rl.config.checkpoint_folder import TOKENIZER_FILES
from rl.policy import copy_policy, policy_key, resolve_policy


def test_a_cached_folders_key_is_its_name(tiny_policy: Path) -> None:
    assert policy_key(tiny_policy) == tiny_policy.name


def test_copied_policy_folders_leave_out_the_complete_mark(tiny_policy: Path, tmp_path: Path) -> None:
    copy_policy(tiny_policy, tmp_path / "policy")
    missing = {file.name for file in tiny_policy.iterdir()} - {file.name for file in (tmp_path / "policy").iterdir()}
    assert missing == {"complete"}


def test_copies_of_one_name_have_different_keys_when_their_files_differ(tiny_policy: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "policy", tmp_path / "b" / "policy"
    copy_policy(tiny_policy, first)
    copy_policy(tiny_policy, second)
    (second / "config.json").write_text("{}")
    assert policy_key(first) != policy_key(second)


def test_a_checkpoint_without_its_tokenizer_is_refused(tiny_policy: Path, tmp_path: Path) -> None:
    """Transformers would make an empty one in its place."""
    copy_policy(tiny_policy, tmp_path / "policy")
    assert resolve_policy(str(tmp_path / "policy")) == tmp_path / "policy"
    for file in (*TOKENIZER_FILES, "tokenizer_config.json"):
        (tmp_path / "policy" / file).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"policy\.path: the folder .* has no tokenizer \(tokenizer\.json"):
        resolve_policy(str(tmp_path / "policy"))


def test_a_path_that_leads_nowhere_is_not_looked_for_on_the_hub() -> None:
    with pytest.raises(ValueError, match=r"teachers\.big\.path: there is no folder runs/old/policy seen from /"):
        resolve_policy("runs/old/policy", "teachers.big.path")
