"""What makes transformers decode token by token without needless copies: a cache with room, and attention that repeats no key.

Axes: B sequences, H heads, G key-value heads, T tokens so far, L tokens at once, Q heads of a key, D width of a head.
"""

import torch
from transformers import AttentionInterface, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

ATTENTION = "grouped_decoding"
# Tokens that a cache has room for before it is copied to a larger place.
ROOM = 64


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values [B, G, T, D] of a layer, in a place with room behind them: a token more is not a copy of all before it."""

    keys: torch.Tensor
    values: torch.Tensor

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._places = key_states[:, :, :0], value_states[:, :, :0]
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if end > self._places[0].shape[-2]:
            self._places = _with_room(self.keys, key_states, end + ROOM), _with_room(self.values, value_states, end + ROOM)
        for place, states in zip(self._places, (key_states, value_states), strict=True):
            place[:, :, start:end] = states
        self.keys, self.values = (place[:, :, :end] for place in self._places)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        end = self.get_seq_length()
        self._places = self._places[0][indices], self._places[1][indices]
        self.keys, self.values = (place[:, :, :end] for place in self._places)


def _with_room(old: torch.Tensor, like: torch.Tensor, length: int) -> torch.Tensor:
    batch, heads, _, width = like.shape
    place = like.new_empty(batch, heads, length, width)
    if old.numel():
        place[:, :, : old.shape[-2]] = old
    return place


def grouped_decoding(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: object,
) -> tuple[torch.Tensor, None]:
    """Hugging Face attention function. `query` [B, H, L, D], `key` and `value` [B, G, T, D] -> [B, L, H, D].

    For one token the H / G heads that share a key are queries of the same attention, so that no key is repeated for them.
    """
    batch, heads, length, width = query.shape
    groups = key.shape[1]
    if length > 1 or heads == groups:
        attended: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
        return attended
    attended_BGQD = torch.nn.functional.scaled_dot_product_attention(
        query.view(batch, groups, heads // groups, width), key, value, attn_mask=attention_mask, scale=scaling
    )
    return attended_BGQD.reshape(batch, 1, heads, width), None


AttentionInterface.register(ATTENTION, grouped_decoding)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
