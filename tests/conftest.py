"""What tests of several packages share."""

from pathlib import Path

import pytest

from rl.config import TinyPolicySettings
from rl.policy import build_tiny_policy


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny, untrained Qwen3-VL with its tokenizer and processor."""
    return build_tiny_policy(
        TinyPolicySettings(), ["How many apples are in the picture? 12 + 30 = 42"] * 8, 0, tmp_path_factory.mktemp("policy")
    )
