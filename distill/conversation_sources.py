"""Where what a supervised stage imitates comes from: the user's file, or worked examples of the tasks."""

from collections.abc import Mapping, Sequence

from distill.conversation import worked_answer
from distill.conversation_file import read_conversations
from distill.imitated import Imitated
from distill.worked_turns import WorkedTurns
from rl.config.supervised_settings import DemonstrationSettings
from tasks.build import Task
from tasks.family import Example


def imitated_by(supervised: DemonstrationSettings, tasks: Mapping[str, Task]) -> list[Imitated]:
    """The user's demonstrations, or equally many of each task that has some; none where no task has."""
    if supervised.data is not None:
        return list(read_conversations(supervised.data))
    makers = [task.demonstrations for task in tasks.values() if task.demonstrations is not None]
    share = supervised.demonstrations // max(1, len(makers))
    return [_worked(example) for make in makers for example in make(share)]


def corpus(imitated: Sequence[Imitated]) -> list[str]:
    """What the tokenizer of a tiny policy is trained on."""
    texts = []
    for one in imitated:
        given, said = (one.messages, "".join(one.turns)) if isinstance(one, WorkedTurns) else (one.messages[:-1], one.messages[-1].text)
        texts += [f"<|im_start|>{message.role}\n{message.text}\n<|im_start|>assistant\n{said}" for message in given]
    return texts


def _worked(example: Example) -> Imitated:
    if example.tools:
        return WorkedTurns(example.messages, (*example.calling_turns, example.demonstration), example.tools)
    return worked_answer(example.messages, example.demonstration)
