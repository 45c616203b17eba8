"""Imported for its effect: loads vLLM ahead of need, which takes seconds, with its environment prepared."""

from rollouts.vllm_environment import prepare_environment

prepare_environment()

import vllm.v1.engine.llm_engine  # noqa: E402
import vllm.v1.worker.worker_base  # noqa: E402, F401
