"""TRL's side of `trl_sapo.py`: `GRPOTrainer(loss_type="sapo")`, one batch of rollouts at a time."""

import time
from multiprocessing.connection import Connection
from typing import Any

from sapo_workload import GROUP_SIZE, LEARNING_RATE, UPDATES, RoundReport, Workload, questions, score


def serve(workload: Workload, line: Connection) -> None:
    """Makes a round for every message on the line, and answers with its report."""
    import torch
    from datasets import Dataset
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from rollouts.render import Renderer

    torch.set_num_threads(workload.threads)
    has_vision = hasattr(AutoConfig.from_pretrained(workload.policy), "vision_config")
    seconds = {"generate": 0.0, "rescore": 0.0, "tokens": 0.0}

    class TimedTrainer(GRPOTrainer):  # type: ignore[misc]
        def _generate(self, *arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = super()._generate(*arguments, **named)
            seconds["generate"] += time.perf_counter() - started
            seconds["tokens"] += sum(map(len, result[1]))
            return result

        def _get_per_token_logps_and_entropies(self, *arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = super()._get_per_token_logps_and_entropies(*arguments, **named)
            if not torch.is_grad_enabled():
                seconds["rescore"] += time.perf_counter() - started
            return result

    class Rounds(TrainerCallback):  # type: ignore[misc]
        started = 0.0

        def on_step_begin(self, args: object, state: Any, control: object, **_: object) -> None:
            if state.global_step % UPDATES == 0:
                if state.global_step == 0:
                    line.send("ready")
                line.recv()
                seconds.update(generate=0.0, rescore=0.0, tokens=0.0)
                self.started = time.perf_counter()

        def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:
            if state.global_step % UPDATES == 0:
                rest = time.perf_counter() - self.started - seconds["generate"] - seconds["rescore"]
                line.send(RoundReport(seconds["generate"], seconds["rescore"], rest, 0.0, int(seconds["tokens"])))

    def reward(completions: list[Any], answer: list[str], **_: object) -> list[float]:
        return [score(c[0]["content"], a) for c, a in zip(completions, answer, strict=True)]

    generation: dict[str, object] = {}
    if workload.fixed:
        generation["min_new_tokens"] = workload.max_tokens
    if has_vision:
        generation["suppress_tokens"] = list(Renderer(workload.policy).banned_ids)
    rows: list[dict[str, object]] = [
        {"prompt": [{"role": "user", "content": q.message.text}], "answer": q.answer}
        | ({"images": list(q.message.images)} if workload.tasks == "images" else {})
        for q in questions(workload)
    ]
    config = GRPOConfig(
        output_dir="/tmp/trl_sapo",
        use_cpu=True,
        bf16=False,
        seed=workload.seed,
        loss_type="sapo",
        beta=0.0,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        num_generations=GROUP_SIZE,
        per_device_train_batch_size=workload.prompts * GROUP_SIZE // UPDATES,
        steps_per_generation=UPDATES,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
        max_completion_length=workload.max_tokens,
        max_steps=workload.rounds * UPDATES,
        temperature=1.0,
        generation_kwargs=generation or None,
        shuffle_dataset=False,
        torch_compile=workload.compiled,
        model_init_kwargs={"dtype": "float32"},
        logging_steps=10_000,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    processing = (AutoProcessor if has_vision else AutoTokenizer).from_pretrained(workload.policy)
    trainer = TimedTrainer(
        model=str(workload.policy),
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=processing,
        callbacks=[Rounds()],
    )
    trainer.train()
