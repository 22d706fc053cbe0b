"""Questions with short answers for training, balanced so that their words alone tell nothing of the answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from posetalk.facts.scene import Scene
from posetalk.formats.annotated import AnnotatedImage
from posetalk.write.questions.ask import counts_people, questions_of
from posetalk.write.questions.questions import Question, stable_hash
from posetalk.write.samples.sample import Turns

# LLaVA-1.5's orders for short answers (arXiv 2310.03744, table 7).
ONE_WORD = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."


class ShortQuestions:
    """Chooses questions in two passes over the same images, in the same order: `count` of all, then `turns` of each.

    Of each wording (which says whom it is about) every answer is right equally often. Memory grows with the number of
    wordings, not of images.

    seed: the seed of wording and choice.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        self._met: Counter[tuple[tuple[str, ...], str]] = Counter()
        self._everybody_named = False

    def count(self, annotated: AnnotatedImage, scene: Scene) -> None:
        """Count the questions of an image, in the first pass."""
        people = annotated.image.people
        # labels that name crowds, or people without keypoints, name everybody: how many there are is known
        self._everybody_named |= any(person.is_crowd or not person.labelled.any() for person in people)
        for question in self.asked(annotated, scene):
            self._counts[_wording(question)][question.right] += 1

    def turns(self, annotated: AnnotatedImage, scene: Scene) -> Turns | None:
        """The questions of an image with their answers, in the second pass; None if none is chosen."""
        chosen = [
            question
            for question in self.asked(annotated, scene)
            if (self._everybody_named or not counts_people(question)) and self._is_chosen(question)
        ]
        return tuple((_prompt(q), q.answer[:1].upper() + q.answer[1:]) for q in chosen) or None

    def asked(self, annotated: AnnotatedImage, scene: Scene) -> Iterator[Question]:
        """Questions in an order drawn by the seed; none whose answer rests on a fact of an earlier one."""
        used: set[tuple[str, str]] = set()
        questions = questions_of(annotated, scene, self._seed, in_words=True)
        for question in sorted(questions, key=lambda q: (stable_hash(self._seed, "order", q.id), q.id)):
            facts = {(evidence.who, evidence.key) for evidence in question.evidence}
            if facts and not facts & used:
                used |= facts
                yield question

    def _is_chosen(self, question: Question) -> bool:
        """Every answer of a wording is chosen equally often, spread evenly over the images."""
        wording, answer = _wording(question), question.right
        counts = self._counts[wording]
        self._met[wording, answer] += 1
        quota = _quota(sorted(counts.values(), reverse=True))
        count, met = counts[answer], self._met[wording, answer]
        return 0 < quota <= count and met * quota // count > (met - 1) * quota // count


def _wording(question: Question) -> tuple[str, ...]:
    return (question.text, *sorted(question.choices))


def _quota(counts: Sequence[int]) -> int:
    """How often each answer is chosen, given how often each is right, largest first; 0 if one is always right.

    Answers that are right less often are left out, where more questions can be asked without them.
    """
    quotas = {count * number: count for number, count in enumerate(counts, 1) if number > 1}
    return quotas[max(quotas)] if quotas else 0


def _prompt(question: Question) -> str:
    """The question with its choices and the order for a short answer."""
    if not question.choices:
        return f"{question.text}\n{ONE_WORD}"
    return "\n".join([*question.prompt.split("\n")[:-1], LETTER])
