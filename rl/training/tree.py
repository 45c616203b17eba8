"""What the learner trains on: prompts with their responses, each prompt held once for all of its responses."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import PIL.Image


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of tokens with the images whose placeholders it holds. `loss_mask_T` is True where the token is trained on."""

    token_ids_T: npt.NDArray[np.int64]
    loss_mask_T: npt.NDArray[np.bool_]
    images: tuple[PIL.Image.Image, ...] = ()

    def __post_init__(self) -> None:
        assert len(self.token_ids_T) == len(self.loss_mask_T), (len(self.token_ids_T), len(self.loss_mask_T))

    def __len__(self) -> int:
        return len(self.token_ids_T)


@dataclass(frozen=True, slots=True)
class Tree:
    """A trunk and the branches that each continue it: a prompt and its sampled responses, or a trunk alone (supervised).

    Branches do not see each other. The trunk, with its images, is computed once, and so is a branch that says the same as another.
    """

    trunk: Stretch
    branches: tuple[Stretch, ...] = ()

    @property
    def first_alike(self) -> tuple[int, ...]:
        """For each branch the first one with the same tokens, itself where there is none before. One with images is like no other."""
        first: dict[object, int] = {}
        said = (i if b.images else (b.token_ids_T.tobytes(), b.loss_mask_T.tobytes()) for i, b in enumerate(self.branches))
        return tuple(first.setdefault(words, i) for i, words in enumerate(said))

    @property
    def num_tokens(self) -> int:
        """Tokens that are computed."""
        return len(self.trunk) + sum(len(self.branches[i]) for i in set(self.first_alike))

    @property
    def longest_chain(self) -> int:
        """Tokens of the trunk and its longest branch."""
        return len(self.trunk) + max(map(len, self.branches), default=0)
