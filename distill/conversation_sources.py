"""Where what a supervised stage imitates comes from: the user's file, or worked examples of the tasks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from distill.conversation import worked_answer
from distill.conversation_file import read_conversations
from distill.imitated import Imitated, Imitation
from distill.worked_turns import WorkedTurns
from rl.config.supervised_settings import DemonstrationSettings
from tasks.build import Task
from tasks.family import Example


@dataclass(frozen=True, slots=True)
class WorkedExamples:
    """The first `share` examples of each maker, made anew whenever they are gone through: kept, their images would fill the memory."""

    makers: tuple[Callable[[int], Iterable[Example]], ...]
    share: int

    def __len__(self) -> int:
        return self.share * len(self.makers)

    def __iter__(self) -> Iterator[Imitated]:
        return (_worked(example) for make in self.makers for example in make(self.share))


def imitated_by(supervised: DemonstrationSettings, tasks: Mapping[str, Task]) -> Imitation:
    """The user's demonstrations, or equally many of each task that has some; none where no task has."""
    if supervised.data is not None:
        return list(read_conversations(supervised.data))
    makers = tuple(task.demonstrations for task in tasks.values() if task.demonstrations is not None)
    return WorkedExamples(makers, supervised.demonstrations // max(1, len(makers)))


def corpus(imitated: Imitation) -> list[str]:
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
