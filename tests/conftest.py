"""What tests of several packages share."""

import os
from pathlib import Path

# Before torch is loaded: several threads a process only wait for each other at these sizes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from rl.config.supervised_settings import TinyPolicySettings
from rl.policy import build_tiny_policy

# A busy machine is no failure: no law is timed.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny, untrained Qwen3-VL with its tokenizer and processor."""
    return build_tiny_policy(
        TinyPolicySettings(), ["How many apples are in the picture? 12 + 30 = 42"] * 8, 0, tmp_path_factory.mktemp("policy")
    )
