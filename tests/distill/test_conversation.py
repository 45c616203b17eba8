"""Conversations to imitate: exactly what the assistant says is trained on, whatever the texts contain."""

import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

from distill.conversation import Conversation, encode, worked_answer
from distill.conversation_file import read_conversations
from distill.imitated import problem_key
from distill.worked_turns import WorkedTurns, record
from distill.writers import EngineWriter
from rl.assembly import tool_runner
from rl.config.settings import RunSettings
from rl.config.supervised_settings import TinyPolicySettings
from rl.config.task_settings import TaskSettings
from rl.policy import build_tiny_policy
from rl.training.tree import Tree
from rollouts.generator import Continuation, Generated, Request, Sampling
from rollouts.render import Renderer
from rollouts.tools.runner import ToolRunner
from rollouts.turns import TurnLimits, TurnLoop
from tasks.errors import TaskError
from tasks.message import ImagePart, Message, TextPart, ToolCall, text_message
from tasks.problem import NumberTarget, Problem

TINY = TinyPolicySettings(hidden_size=32, num_layers=1, num_heads=1, intermediate_size=32, vision_depth=1, vocab_size=300)
TRAP = "the assistant said: assistant\nI am the assistant\n assistant"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_policy(TINY, ["a few words for the assistant and the user"] * 9, 0, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def renderer(path: Path) -> Renderer:
    return Renderer(path)


def said(tree: Tree, renderer: Renderer) -> list[str]:
    """The texts of the runs of trained tokens."""
    mask = tree.trunk.loss_mask_T
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return [renderer.text(tree.trunk.token_ids_T[start:end].tolist()) for start, end in edges]


def test_an_answer_follows_exactly_the_prompt_that_is_sampled_from(renderer: Renderer) -> None:
    messages = (text_message("system", "be brief"), text_message("user", TRAP))
    (tree,) = encode(worked_answer(messages, "yes"), renderer)
    prompt, answer = renderer.prompt_ids(messages), renderer.turn_ids("yes")
    assert tuple(tree.trunk.token_ids_T) == prompt + answer
    assert tree.trunk.loss_mask_T.tolist() == [False] * len(prompt) + [True] * len(answer)


def test_an_answer_without_thinking_follows_the_prompt_that_asks_for_none(renderer: Renderer) -> None:
    messages = (text_message("user", "2+2?"),)
    (tree,) = encode(worked_answer(messages, "4", thinking=False), renderer)
    prompt, answer = renderer.prompt_ids(messages, thinking=False), renderer.turn_ids("4")
    assert renderer.text(prompt) == renderer.text(renderer.prompt_ids(messages)) + "<think>\n\n</think>\n\n"
    assert tuple(tree.trunk.token_ids_T) == prompt + answer
    assert tree.trunk.loss_mask_T.tolist() == [False] * len(prompt) + [True] * len(answer)


def test_turns_and_answers_to_one_prompt_are_of_one_problem() -> None:
    asked = (text_message("user", "2+2?"),)
    one = [worked_answer(asked, "4"), worked_answer(asked, "four", thinking=False), WorkedTurns(asked, ("<tool_call>", "4"), ("sum",))]
    longer = worked_answer((*one[0].messages, text_message("user", "sure?")), "yes")
    assert len({problem_key(talk) for talk in (*one, longer)}) == 1
    assert problem_key(worked_answer((text_message("user", "2+3?"),), "4")) != problem_key(longer)


def test_a_template_without_modes_is_known_as_such(path: Path, tmp_path: Path) -> None:
    assert Renderer(path).has_modes
    shutil.copytree(path, tmp_path / "always")
    template = (tmp_path / "always" / "chat_template.jinja").read_text()
    (tmp_path / "always" / "chat_template.jinja").write_text(template.replace("enable_thinking", "never_given"))
    assert not Renderer(tmp_path / "always").has_modes


@pytest.fixture(scope="module")
def opening(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """Its template opens the thinking in the prompt."""
    folder = tmp_path_factory.mktemp("opening") / "policy"
    shutil.copytree(path, folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("{{- '<|im_start|>assistant\\n' -}}", "{{- '<|im_start|>assistant\\n<think>\\n' -}}"))
    return Renderer(folder)


@pytest.mark.parametrize("text", ["<think>\n2 + 2\n</think>\n\n4", "<think>2 + 2\n</think>\n\n4", "2 + 2\n</think>\n\n4"])
def test_thinking_is_opened_once_where_the_prompt_opens_it(opening: Renderer, text: str) -> None:
    messages = (text_message("user", "2+2?"),)
    (tree,) = encode(worked_answer(messages, text), opening)
    assert opening.text(tree.trunk.token_ids_T.tolist()).endswith("<|im_start|>assistant\n<think>\n2 + 2\n</think>\n\n4<|im_end|>")
    assert said(tree, opening) == ["2 + 2\n</think>\n\n4<|im_end|>"]


class Says:
    """An engine that says `text`."""

    def __init__(self, renderer: Renderer, text: str) -> None:
        self._renderer, self._text = renderer, text

    async def generate(self, request: Request) -> Generated:
        ids = self._renderer.turn_ids(self._text)
        return Generated(request.prompt_ids, (Continuation(ids, (0.0,) * len(ids), "stop", 0),))


@pytest.mark.parametrize("tools", [(), ("python_calculator_tool",)])
async def test_what_a_teacher_says_after_a_prompt_that_opens_its_thinking_is_opened(
    opening: Renderer, renderer: Renderer, tools: tuple[str, ...]
) -> None:
    problem = Problem("p", (text_message("user", "2+2?"),), NumberTarget(4), "number", "sum", tools)
    how = Sampling(64, 1.0)
    for its, said_by_it, written in (
        (opening, "2 + 2\n</think>\n\n4", "<think>\n2 + 2\n</think>\n\n4"),
        (renderer, "It is 4", "It is 4"),
    ):
        engine = Says(its, said_by_it)
        turns = TurnLoop(engine, its, ToolRunner(10.0, 1, {}, ()), how, TurnLimits(length=4096))  # type: ignore[arg-type]
        (one,) = await EngineWriter("big", engine, its, how, turns).write(problem, 1, "0", thinking=True)  # type: ignore[arg-type]
        assert one.turns == (written,)


async def test_worked_turns_open_their_thinking_once_where_the_prompt_opens_it(opening: Renderer) -> None:
    run = RunSettings(name="t", tasks={"algebra": TaskSettings(family="algebra")})
    worked = WorkedTurns((text_message("user", "2+2?"),), ("<think>\n2 + 2\n</think>\n\n4",), ())
    async with tool_runner(run) as runner:
        tree = await record(run, worked, opening, runner)
    assert said(tree, opening) == ["2 + 2\n</think>\n\n4<|im_end|>"]


def test_the_word_assistant_in_any_other_turn_unmasks_nothing(renderer: Renderer) -> None:
    talk = Conversation(
        (
            text_message("system", TRAP),
            text_message("user", TRAP),
            text_message("assistant", "first"),
            text_message("user", TRAP),
            text_message("assistant", TRAP),
        )
    )
    (tree,) = encode(talk, renderer)
    assert said(tree, renderer) == ["first<|im_end|>", f"{TRAP}<|im_end|>"]


def test_tool_calls_are_trained_on_and_what_tools_return_is_not(renderer: Renderer) -> None:
    call = ToolCall("zoom", {"box": [1, 2, 3, 4]})
    talk = Conversation(
        (
            text_message("user", "look"),
            Message("assistant", (TextPart("let me see"),), (call,)),
            text_message("tool", "the assistant sees a cat"),
            text_message("assistant", "a cat"),
        ),
        ({"type": "function", "function": {"name": "zoom", "parameters": {}}},),
    )
    (tree,) = encode(talk, renderer)
    first, second = said(tree, renderer)
    assert first.startswith("let me see\n<tool_call>")
    assert json.loads(first.partition("<tool_call>")[2].partition("</tool_call>")[0]) == {
        "name": "zoom",
        "arguments": {"box": [1, 2, 3, 4]},
    }
    assert second == "a cat<|im_end|>"
    assert "zoom" in renderer.text(tree.trunk.token_ids_T[: np.flatnonzero(tree.trunk.loss_mask_T)[0]].tolist())


def test_images_take_their_patches_and_are_never_trained_on(renderer: Renderer) -> None:
    picture = PIL.Image.new("RGB", (96, 64))
    messages = (Message("user", (ImagePart(picture), TextPart("what?"), ImagePart(picture))),)
    (tree,) = encode(worked_answer(messages, "grey"), renderer)
    placeholder = renderer.text_ids("<|image_pad|>")[0]
    assert (tree.trunk.token_ids_T == placeholder).sum() == 2 * 6
    assert said(tree, renderer) == ["grey<|im_end|>"]
    assert len(tree.trunk.images) == 2


def test_a_template_that_rewrites_earlier_turns_gives_a_sequence_for_each_turn(path: Path) -> None:
    forgetful = Renderer(path)
    forgetful._tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{{ m.content if m.role != 'assistant' or loop.last else m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    turns = ("<think>one</think>1", "<think>two</think>2")
    talk = Conversation(
        (text_message("user", "a"), text_message("assistant", turns[0]), text_message("user", "b"), text_message("assistant", turns[1]))
    )
    trees = encode(talk, forgetful)
    assert [said(tree, forgetful) for tree in trees] == [[f"{turn}<|im_end|>"] for turn in turns]
    assert "one" not in forgetful.text(trees[1].trunk.token_ids_T.tolist())


ROW = {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}


def test_jsonl_and_parquet_give_the_same_conversations(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW]), tmp_path / "rows.parquet")
    expected = [Conversation((text_message("user", "2+2?"), text_message("assistant", "4")))]
    assert read_conversations(str(tmp_path / "rows.jsonl")) == expected
    assert read_conversations(str(tmp_path / "rows.parquet")) == expected


@pytest.mark.parametrize("table", ["rows.jsonl", "rows.parquet", "saved"])
def test_calls_and_schemas_hold_only_their_own_keys_whatever_other_rows_have(tmp_path: Path, table: str) -> None:
    def row(tool: str, arguments: object, properties: object) -> dict[str, object]:
        call = {"function": {"name": tool, "arguments": arguments}}
        return {
            "messages": [ROW["messages"][0], {"role": "assistant", "content": None, "tool_calls": [call]}],
            "tools": [{"type": "function", "function": {"name": tool, "parameters": {"properties": properties}}}],
        }

    rows = [
        row("search", {"query": "cats", "filter": {"year": 1}}, {"query": {"type": "string"}}),
        row("zoom", {"box": [1, 2], "filter": {"side": 2}}, {"box": {"type": "array", "items": {"type": "integer"}}}),
    ]
    if table == "rows.jsonl":
        (tmp_path / table).write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif table == "rows.parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / table)
    else:
        datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / table))
    first, second = read_conversations(str(tmp_path / table))
    assert [talk.messages[1].tool_calls for talk in (first, second)] == [
        (ToolCall("search", {"query": "cats", "filter": {"year": 1}}),),
        (ToolCall("zoom", {"box": [1, 2], "filter": {"side": 2}}),),
    ]
    assert [talk.tools for talk in (first, second)] == [tuple(row["tools"]) for row in rows]  # type: ignore[arg-type]


def test_arguments_as_json_text_keep_their_nulls(tmp_path: Path) -> None:
    call = {"function": {"name": "search", "arguments": '{"query": null}'}}
    row = {"messages": [ROW["messages"][0], {"role": "assistant", "content": None, "tool_calls": [call]}]}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "rows.parquet")
    (talk,) = read_conversations(str(tmp_path / "rows.parquet"))
    assert talk.messages[1].tool_calls == (ToolCall("search", {"query": None}),)


def test_images_and_tools_of_a_row_stand_where_they_belong(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    row = {
        "messages": [{"role": "user", "content": "<image> what?"}, ROW["messages"][1]],
        "images": ["a.png"],
        "tools": '[{"name": "zoom"}]',
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (talk,) = read_conversations(str(tmp_path / "rows.jsonl"))
    assert len(talk.messages[0].images) == len(talk.images) == 1
    assert talk.tools == ({"name": "zoom"},)


@pytest.mark.parametrize("content", ["4", [{"type": "text", "text": "4"}]])
def test_reasoning_content_is_the_thinking_ahead_of_the_content(tmp_path: Path, content: object) -> None:
    answer = {"role": "assistant", "content": content, "reasoning_content": "two and two", "weight": 1, "train": True, "loss": None}
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": [ROW["messages"][0] | {"weight": 0}, answer]}))
    (talk,) = read_conversations(str(tmp_path / "rows.jsonl"))
    assert talk.messages[-1].text == "<think>\ntwo and two\n</think>\n\n4"


def test_other_columns_are_told_and_what_to_call_them(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": 1, "conversations": [{"from": "human", "value": "2+2?"}]}))
    with pytest.raises(TaskError, match=r"rows.jsonl:1: no column `messages` \(there are: id, conversations\); rename yours"):
        read_conversations(str(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([ROW["messages"][0], ROW["messages"][1] | {"weight": 0}], r"rows.jsonl:2: weight=0 of the assistant's message"),
        ([ROW["messages"][0], ROW["messages"][1] | {"train": False}], "train=False of the assistant's message"),
        ([ROW["messages"][0] | {"loss": True}, ROW["messages"][1]], "loss=True of the user's message"),
        ([{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}], "a message has role and content, not from and value"),
        (
            [ROW["messages"][0], {"role": "assistant", "content": "<think>a</think>4", "reasoning_content": "b"}],
            "in its content, <think>, and in reasoning_content",
        ),
        ([ROW["messages"][0], ROW["messages"][1] | {"reasoning_content": "<|im_end|>"}], "special token"),
        (ROW["messages"][:1], "ends with what the assistant says"),
        ([ROW["messages"][0], {"role": "assistant", "content": ""}], "without a text and without a tool call"),
        ([{"role": "user", "content": "<|im_start|>assistant"}, ROW["messages"][1]], "special token"),
        ([], "list of chat messages"),
    ],
)
def test_a_row_that_is_no_demonstration_is_named_with_its_reason(tmp_path: Path, messages: list[object], reason: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps({"messages": messages}))
    with pytest.raises(TaskError, match=rf"1 rows are no demonstrations(.|\n)*{reason}"):
        read_conversations(str(tmp_path / "rows.jsonl"))
