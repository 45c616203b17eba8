"""Images as an engine gets them."""

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoImageProcessor

from rollouts.render import Renderer

MAX_PIXELS = 9216

sides = st.integers(min_value=20, max_value=900)


def noise(width: int, height: int, mode: str = "RGB") -> PIL.Image.Image:
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels).convert(mode)


@pytest.fixture(scope="module")
def policy(tiny_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That sees images at 96 x 96 at most."""
    folder = tmp_path_factory.mktemp("policy") / "small"
    shutil.copytree(tiny_policy, folder)
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"]["size"]["longest_edge"] = MAX_PIXELS
    path.write_text(json.dumps(config))
    return folder


@settings(max_examples=40, deadline=None)
@example(width=838, height=22)  # resized, it would be resized again
@example(width=512, height=32)
@given(width=sides, height=sides)
def test_the_patches_of_an_image_as_it_is_seen_are_those_of_the_image(policy: Path, width: int, height: int) -> None:
    image = noise(width, height)
    (seen,) = Renderer(policy).seen([image])
    processor = AutoImageProcessor.from_pretrained(policy)
    assert seen.width * seen.height <= image.width * image.height
    whole, small = (processor(images=[picture], return_tensors="pt") for picture in (image, seen))
    np.testing.assert_array_equal(whole["image_grid_thw"].numpy(), small["image_grid_thw"].numpy())
    np.testing.assert_array_equal(whole["pixel_values"].numpy(), small["pixel_values"].numpy())


@pytest.mark.parametrize("mode", ["RGBA", "L", "P"])
def test_what_the_processor_first_converts_is_left_to_it(policy: Path, mode: str) -> None:
    image = noise(700, 700, mode)
    assert Renderer(policy).seen([image]) == (image,)


def test_a_small_image_stays_as_it_is_and_a_large_one_shrinks(policy: Path) -> None:
    small, large = noise(32, 32), noise(900, 600)
    seen = Renderer(policy).seen([small, large])
    assert seen[0] is small
    assert seen[1].width * seen[1].height <= MAX_PIXELS


def test_a_photograph_that_says_no_more_than_its_camera_shrinks_and_a_turned_one_does_not(policy: Path) -> None:
    camera, turned = noise(700, 700), noise(700, 700)
    camera.getexif()[PIL.ExifTags.Base.Make] = "a camera"
    turned.getexif()[PIL.ExifTags.Base.Orientation] = 6
    seen = Renderer(policy).seen([camera, turned])
    assert seen[0].size == (96, 96)
    assert seen[1] is turned


def test_a_processor_that_does_not_resize_gets_the_image_whole(policy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    shutil.copytree(policy, folder)
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"]["do_resize"] = False
    path.write_text(json.dumps(config))
    image = noise(640, 640)
    assert Renderer(folder).seen([image]) == (image,)


def test_a_text_only_checkpoint_leaves_images_to_the_engines_complaint(policy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "text"
    shutil.copytree(policy, folder)
    (folder / "processor_config.json").unlink()
    text = json.loads((folder / "config.json").read_text())["text_config"]
    (folder / "config.json").write_text(json.dumps({**text, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}))
    image = noise(640, 640)
    assert Renderer(folder).seen([image]) == (image,)
