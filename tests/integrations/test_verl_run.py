"""Two steps of verl's own trainer on the CPU, from our settings. Not in the default suite: `pytest -m verl_run`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

RUN = "import sys; from rl.config.configure import load; from rl.integrations.verl.launch import run; run(load(sys.argv[1:]))"
STEPS, GROUPS, GROUP_SIZE = 2, 4, 4
# Even an untrained policy earns some of it, and not every answer the same.
PLUGIN = """
from rewards.outcome import Grade
from rewards.registry import reward


@reward("ascii_share", target="any")
def ascii_share(target, transcript):
    return Grade(sum(map(str.isascii, transcript.final_text)) / (len(transcript.final_text) + 1))
"""


@pytest.fixture
def text_policy(tiny_policy: Path, tmp_path: Path) -> Path:
    """A tiny Qwen3. Its vocabulary is as long as its tokenizer: verl hides a tail from the engine that its trainer would still count."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_policy)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = tmp_path / "policy"
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.verl_run
@pytest.mark.skipif(torch.cuda.is_available(), reason="runs verl without a GPU")
def test_verl_trains_two_sapo_steps_with_our_rewards(text_policy: Path, tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    arguments = [
        f"rewards.plugins=[{tmp_path}/plugin.py]",
        "tasks.algebra.reward=ascii_share",
        "backend=verl",
        "name=two_steps",
        f"runs={tmp_path}",
        f"policy.path={text_policy}",
        "cold_start.enabled=false",
        "query_filter.enabled=false",
        "tasks.algebra.family=algebra",
        "tasks.algebra.heldout=4",
        f"loop.steps={STEPS}",
        f"loop.groups_per_batch={GROUPS}",
        "loop.refill=false",
        f"rollout.group_size={GROUP_SIZE}",
        "rollout.max_tokens=16",
        "rollout.max_model_len=256",
        "rollout.max_num_seqs=32",
        "evaluation.samples=1",
        "checkpoint.every=2",
    ]
    done = subprocess.run([sys.executable, "-c", RUN, *arguments], timeout=1200, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    run = tmp_path / "two_steps"
    assert yaml.safe_load((run / "verl.yaml").read_text())["actor_rollout_ref"]["actor"]["policy_loss"]["loss_mode"] == "sapo"
    for step in range(1, STEPS + 1):
        rollouts = [json.loads(line) for line in (run / "rollouts" / f"{step}.jsonl").read_text().splitlines()]
        assert len(rollouts) == GROUPS * GROUP_SIZE
        assert len({rollout["score"] for rollout in rollouts}) > 1
    norms = [float(norm) for norm in re.findall(r"actor/grad_norm:(?:np\.float64\()?([0-9.e-]+)", done.stdout)]
    assert len(norms) == STEPS
    assert min(norms) > 0
    assert re.search(r"val-aux/algebra/ungraded/mean@1:(?:np\.float64\()?0\.0\b", done.stdout)
    assert (run / "checkpoints" / f"global_step_{STEPS}").is_dir()
