"""Settings of a task: where its problems come from, and what grades their answers."""

from typing import Literal

from pydantic import Field, JsonValue, model_validator

from rl.config.strict_settings import Count, NonNegative, Settings
from tasks.gym import PREFIX as GYM

# Of a family, for the query filter, where no pool is given.
FAMILY_POOL = 256
RewardSetting = str | dict[str, float | dict[str, JsonValue]] | None


class TaskSettings(Settings):
    """One task: a procedural family, a reasoning-gym family, or a user's data."""

    family: str | None = Field(None, description="a procedural family (`tasks.families`), or `gym:<name>` for one of reasoning-gym's")
    data: str | None = Field(None, description="a .jsonl or .parquet file, a saved dataset's folder, or `hf:<dataset>[:<split>]`")
    columns: dict[str, str] = Field(
        {}, description="our field -> column of the data: id, prompt, messages, images, target, choices, reward, expected_calls"
    )
    target: str = Field(
        "math", description="what the data's target column holds: math, choice, boxes, ... (all in docs/data.md); none: nothing"
    )
    reward: RewardSetting = Field(
        None,
        description="a reward, or a mixture by component (weight, or keys); null takes the family's, or the one called like `target`",
    )
    heldout_reward: RewardSetting = Field(None, description="the reward of the held-out problems; null takes that of training")
    weight: NonNegative = Field(1.0, description="share of every batch, relative to the other tasks'; 0: only evaluated, never trained on")
    pool: Count | None = Field(
        None,
        description=f"number of training problems, before the query filter; null: all rows of data, {FAMILY_POOL} of a family. Without the "
        "filter a family makes ever new ones",
    )
    heldout: Count = Field(64, description="number of held-out problems")
    options: dict[str, bool | int | float | str] = Field({}, description="options of the family, such as its difficulty")
    tools: tuple[str, ...] = Field((), description="tools that the problems of `data` may call; a family brings its own")
    on_bad_row: Literal["error", "skip"] = Field(
        "error", description="what a row that cannot be read does; skipped ones are counted, and the first is shown"
    )

    @property
    def filtered(self) -> int | None:
        """Problems that the query filter looks at; None: all that the data has."""
        return self.pool if self.pool is not None or self.data is not None else FAMILY_POOL

    @property
    def has_demonstrations(self) -> bool:
        """Whether it shows worked answers: families do, but not reasoning-gym's, nor one that is only evaluated."""
        return self.family is not None and not self.family.startswith(GYM) and self.weight > 0

    @model_validator(mode="after")
    def _one_origin(self) -> "TaskSettings":
        if (self.family is None) == (self.data is None):
            raise ValueError("a task takes exactly one of `family` and `data`")
        if self.family is not None and self.tools:
            raise ValueError("`tools` are those of `data`: a family brings its own")
        if self.family is not None and (self.columns or self.target != TaskSettings.model_fields["target"].default):
            raise ValueError("`columns` and `target` say how `data` is read: a family has neither")
        return self
