"""A teacher behind an OpenAI-compatible server: what it is asked, and what is made of its answers."""

import json
from dataclasses import replace

import PIL.Image
import pytest

from distill.writers import ServerWriter, Written
from tasks.message import ImagePart, Message, TextPart, ToolCall, text_message
from tasks.problem import NumberTarget, Problem

from judge_server import Script, Scripted, serving  # isort: skip

PICTURE = Message("user", (ImagePart(PIL.Image.new("RGB", (32, 32))), TextPart("How many?")))
PROBLEM = Problem("p", (text_message("system", "be brief"), PICTURE), NumberTarget(4), "number", "sum")


async def written(script: Script | Scripted, samples: int = 1, thinking: bool = True) -> tuple[list[Written], list[dict]]:
    async with serving(script) as server:
        writer = ServerWriter("big", server.url, 0.7, 64)
        return await writer.write(PROBLEM, samples, "0/big", thinking=thinking), server.bodies


def answer(text: str, *, complete: bool = True) -> Written:
    return Written((text_message("assistant", text),), complete)


async def test_every_sample_is_a_request_with_a_seed_of_its_own_and_the_problems_images() -> None:
    answers, bodies = await written(Scripted("4"), 3)
    assert answers == [answer("4")] * 3
    assert len({body["seed"] for body in bodies}) == 3
    assert {(body["model"], body["temperature"], body["max_tokens"]) for body in bodies} == {("big", 0.7, 64)}
    system, user = bodies[0]["messages"]
    assert system["content"] == "be brief"
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_seeds_depend_on_the_stream_and_the_problem_alone() -> None:
    (_, first), (_, again) = await written(Scripted("4"), 2), await written(Scripted("4"), 2)
    assert sorted(body["seed"] for body in first) == sorted(body["seed"] for body in again)


async def test_tools_that_earlier_turns_called_are_sent_with_what_each_call_returned() -> None:
    calls = (ToolCall("add", {"a": 2, "b": 2}), ToolCall("now", {}))
    asked = (text_message("user", "2 + 2?"), Message("assistant", (TextPart("I add."),), calls))
    earlier = replace(PROBLEM, messages=(*asked, text_message("tool", "4"), text_message("tool", "noon"), text_message("user", "So?")))
    async with serving(Scripted("4")) as server:
        await ServerWriter("big", server.url, 0.7, 64).write(earlier, 1, "0", thinking=True)
    _, called, first, second, _ = server.bodies[0]["messages"]
    assert [(call["type"], call["function"]) for call in called["tool_calls"]] == [
        ("function", {"name": "add", "arguments": '{"a": 2, "b": 2}'}),
        ("function", {"name": "now", "arguments": "{}"}),
    ]
    ids = [call["id"] for call in called["tool_calls"]]
    assert [message["tool_call_id"] for message in (first, second)] == ids
    assert len(set(ids)) == 2


@pytest.mark.parametrize(("thinking", "sent"), [(True, None), (False, {"enable_thinking": False})])
async def test_a_server_is_asked_without_thinking_by_the_argument_of_its_template(thinking: bool, sent: dict | None) -> None:
    _, bodies = await written(Scripted("4"), 1, thinking)
    assert bodies[0].get("chat_template_kwargs") == sent


async def test_an_answer_that_was_cut_is_incomplete() -> None:
    answers, _ = await written(Scripted("4", finish_reason="length"))
    assert answers == [answer("4", complete=False)]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_thinking_that_the_server_gives_beside_the_text_is_put_before_it(name: str) -> None:
    message = {"role": "assistant", "content": "4", name: "2 + 2"}
    body = {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    answers, _ = await written(Scripted(body=json.dumps(body)))
    assert answers == [answer("<think>\n2 + 2\n</think>\n\n4")]


async def test_thinking_that_the_servers_prompt_opened_is_opened_in_the_answer() -> None:
    answers, _ = await written(Scripted("2 + 2\n</think>\n\n4"))
    assert answers == [answer("<think>\n2 + 2\n</think>\n\n4")]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_request_that_fails_in_passing_is_repeated(status: int) -> None:
    refused = Scripted(status=status, body="{}", headers={"retry-after-ms": "1"})
    answers, bodies = await written(lambda number, body: refused if number == 0 else Scripted("4"))
    assert answers == [answer("4")]
    assert len(bodies) == 2


@pytest.mark.parametrize("status", [400, 422])
async def test_a_request_that_the_server_refuses_is_an_error_of_that_problem_alone(status: int) -> None:
    too_long = {"error": {"message": "maximum context length is 64 tokens"}}
    with pytest.raises(ValueError, match=r"refused the request: .*maximum context length is 64 tokens"):
        await written(Scripted(status=status, body=json.dumps(too_long)))
