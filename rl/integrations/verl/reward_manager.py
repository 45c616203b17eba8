"""From verl's rollout to the text that our rewards see. verl loads it by `reward.reward_manager`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from transformers import PreTrainedTokenizerBase
    from verl import DataProto

    from rl.integrations.verl.reward import Score


class TranscriptRewards(RewardManagerBase):  # type: ignore[misc]  # verl has no types
    """Keeps special tokens such as `<think>` in the text, which verl's own manager drops, and says whether the response ended by itself."""

    def __init__(
        self,
        config: "DictConfig",
        tokenizer: "PreTrainedTokenizerBase",
        compute_score: "Callable[..., Awaitable[Score]]",
        **_: object,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)

    async def run_single(self, data: "DataProto") -> dict[str, object]:
        item = data[-1:][0]  # the whole conversation is in the last sequence
        row = item.non_tensor_batch
        padded = item.batch["responses"]
        number = int(item.batch["attention_mask"][-padded.shape[-1] :].sum())
        text, complete = response_text(self.tokenizer, padded[:number].tolist())
        score = await self.compute_score(
            data_source=row["data_source"],
            solution_str=text,
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info={**row["extra_info"], "complete": complete},
        )
        return {"reward_score": score["score"], "reward_extra_info": score}


def response_text(tokenizer: "PreTrainedTokenizerBase", token_ids: list[int]) -> tuple[str, bool]:
    """The assistant's text without its end token, and whether there was one."""
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    complete = bool(token_ids) and token_ids[-1] in ends
    return str(tokenizer.decode(token_ids[:-1] if complete else token_ids, skip_special_tokens=False)), complete
