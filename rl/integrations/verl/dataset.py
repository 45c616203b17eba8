"""verl's dataset over our rows. verl loads it by `data.custom_cls`."""

from typing import TYPE_CHECKING

from verl.utils.dataset.rl_dataset import RLHFDataset

if TYPE_CHECKING:
    import PIL.Image


class ProblemDataset(RLHFDataset):  # type: ignore[misc]  # verl has no types
    """Images reach the processor as they are. verl's own way resizes them first, and needs one more package for that."""

    @classmethod
    async def process_vision_info(
        cls, messages: list[dict[str, object]], image_patch_size: int, config: object
    ) -> tuple["list[PIL.Image.Image] | None", None]:
        parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
        images = [part["image"].convert("RGB") for part in parts if part["type"] == "image"]
        return images or None, None
