"""Questions and answers in a text that is no JSON: by the names before them, as headings, by number, or one answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from posetalk.write.samples.sample import Kind

Pairs = list[tuple[str, str]]
Message = tuple[bool, str]  # whether it asks, and its text

# What is read, in words for whoever has another form.
FORMS = (
    "JSON; question and answer behind names (Question / Answer, Q / A, User / Assistant, Person / AI Assistant, "
    "Complex Question / Detailed Answer), with a colon or alone on a line, numbered or not, plain, bold or headings; "
    "questions in bold, as headings or numbered, each with its answer behind it"
)
ASKS = "question|q|user|human|person|viewer"
ANSWERS = "answer|a|assistant|gpt|chatgpt|ai|description|response|reply"
# `AI Assistant`, `Complex Question 2`, `User's question`.
_NAME = (
    r"(?:(?:complex|detailed|in-depth|reasoning|follow[- ]?up|visual|ai|sample|example)[ _-]){0,3}"
    rf"(?:(?P<asks>{ASKS})|(?P<answers>{ANSWERS}))"
    r"(?:['’]s[ ](?:question|answer|response|reply)|[ ](?:asks|asking|answers|responds))?(?:[ \t]?\#?\d{1,3})?"
)
_IN_ANSWERS = (
    "person",
    "human",
    "viewer",
    "description",
    "response",
    "reply",
)  # also begin lines of an answer
KEY = re.compile(rf"\A{_NAME}\Z", re.IGNORECASE)
_START = rf"^[ \t>#*_(\[-]*(?:\d+[.)][ \t*_]*)?{_NAME}[)\]]?"
# `Question:`, `**Q1:**`, `2. Answer -`, `### User 3:` at the start of a line; such a name alone on its line, as a
# heading is; `Q1 -`, `A.`
_COLON = re.compile(rf"{_START}[*_]{{0,3}}[ \t]?[:：][ \t*_]*", re.IGNORECASE | re.MULTILINE)
_ALONE = re.compile(rf"{_START}(?:[*_]{{0,3}}[ \t]?[:：][ \t*_]*|[*_ \t]*$)", re.IGNORECASE | re.MULTILINE)
_LETTER = re.compile(
    r"^[ \t>*_(\[-]*(?:(?P<asks>q|question)|(?P<answers>a|answer))[ \t]?\d{0,3}[ \t]?[.)\]–—-][ \t*_]+",
    re.IGNORECASE | re.MULTILINE,
)
# A title between an answer and the next question: `### Q&A 2`, `**Conversation 2**`, `2.`
_TITLE = re.compile(r"#{1,6}[ \t][^\n?.!]{0,80}[.]?|\*\*[^*\n?.!]{1,80}\*\*:?|\(?\d{1,3}[.)]?")
# `**What does he do?**`, `### 2. Where is his hand?` on a line of its own.
_HEADED = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+[*_]*|[*_]{2,3})(?:\d{1,3}[.)][ \t]*)?(?P<question>[^\n?*]{3,500}\?)[*_ \t]*$",
    re.MULTILINE,
)
_NUMBER = re.compile(r"^[ \t#*_-]*\d+[.)][ \t*_]*", re.MULTILINE)


def labelled(kind: Kind, text: str, keep_good: bool) -> tuple[Pairs | None, int]:
    """Questions and answers by the labels before them, each up to the next label; and how many turns were left out.

    All labels are tried first, then those alone that are worded as the first question's and the first answer's: an
    answer may have lines such as `Person: ...`.
    """
    if kind == "detail":
        for pattern in (_COLON, _ALONE):
            labels = list(pattern.finditer(text))
            messages, from_start = _messages(text, labels), bool(labels) and labels[0].start() == 0
            if from_start and [asks for asks, _ in messages] == [False]:
                return [("", messages[0][1])], 0
            pairs = paired(messages)
            if pairs and (pattern is _COLON or (from_start and len(pairs) == 1)):
                return pairs, 0
        return None, 0
    found = [list(pattern.finditer(text)) for pattern in (_COLON, _ALONE, _LETTER)]
    for labels in found:
        for chosen in (labels, _alike(labels)):
            in_turn = all(label.lastgroup == ("asks", "answers")[i % 2] for i, label in enumerate(chosen))
            if in_turn and (pairs := paired(_messages(text, chosen))):
                return pairs, 0
    for labels in found[:2] if keep_good else ():
        pairs, left_out = good(_messages(text, _alike(labels) or labels))
        if pairs:
            return pairs, left_out
    return None, 0


def _messages(text: str, labels: Sequence[re.Match[str]]) -> list[Message]:
    ends = [*(label.start() for label in labels[1:]), len(text)][: len(labels)]
    messages = []
    for label, end in zip(labels, ends, strict=True):
        message = text[label.end() : end]
        if end < len(text) and label["answers"]:
            message = _without_title(message)
        messages.append((label["asks"] is not None, message.strip().strip("*_").strip()))
    return messages


def _without_title(answer: str) -> str:
    """Without a last line that is a title of what comes next."""
    body, _, last = answer.rstrip().rpartition("\n")
    return body if body.strip() and _TITLE.fullmatch(last.strip()) else answer


def _alike(labels: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """Those worded as the first that asks and the first that answers; none where others cannot belong to an answer."""
    words = [(label.lastgroup, label[label.lastgroup or 0].lower()) for label in labels]
    first = dict(reversed(words))
    others = [word for group, word in words if word != first[group]]
    if any(word not in _IN_ANSWERS for word in others):
        return []
    return [label for label, (group, word) in zip(labels, words, strict=True) if word == first[group]]


def paired(messages: Sequence[Message]) -> Pairs | None:
    """Pairs of messages that ask and answer in turn; None where they do not.

    A last question without an answer, of a reply that was cut off, is left out.
    """
    pairs = list(zip(messages[::2], messages[1::2], strict=False))
    cut_off = messages[2 * len(pairs) :]
    if (
        not pairs
        or any(not asks or answers for (asks, _), (answers, _) in pairs)
        or not all(is_question for is_question, _ in cut_off)
    ):
        return None
    return [(question, answer) for (_, question), (_, answer) in pairs]


def good(messages: Sequence[Message]) -> tuple[Pairs | None, int]:
    """The questions that have one answer, and the number of turns without a question, or with no or several answers."""
    turns: list[list[str]] = []
    for asks, text in messages:
        if asks or not turns:
            turns.append([text] if asks else ["", "", text])  # an answer to nothing
        else:
            turns[-1].append(text)
    pairs = [(turn[0], turn[1]) for turn in turns if len(turn) == 2]
    return pairs or None, len(turns) - len(pairs)


def headed(text: str) -> Pairs | None:
    """Questions that are headings or bold lines, each with the text behind it as its answer."""
    questions = list(_HEADED.finditer(text))
    ends = [*(question.start() for question in questions[1:]), len(text)]
    pairs = [
        (question["question"].strip(), text[question.end() : end].strip())
        for question, end in zip(questions, ends, strict=False)
    ]
    return pairs if pairs and all(answer for _, answer in pairs) else None


def numbered(kind: Kind, text: str) -> Pairs | None:
    """Numbered questions: each ends in a question mark on its line, and its answer follows.

    For reasoning it may be one question without a number.
    """
    if _COLON.match(text) or _ALONE.match(text):
        return None  # the name would be taken for a part of the question
    items = [item.strip() for item in _NUMBER.split(text)[1:]]
    if kind == "reasoning" and not items:
        items = [text]
    pairs = []
    for item in items:
        question, question_mark, answer = item.partition("?")
        if not question_mark or "\n" in question.strip() or not answer.strip(" \n\t*_"):
            return None
        pairs.append((f"{question.strip(' *_')}?", answer.strip(" \n\t*_-")))
    return pairs


def prose(text: str) -> Pairs | None:
    """The whole text as an answer, without quotation marks around it; None for a single word."""
    text = re.sub(r'\A"([^"]*)"\Z', r"\1", text)
    return [("", text)] if re.search(r"[^\W\d_]\s+[^\W\d_]", text) else None
