r"""Parse the answer in a model's reply. Uses the standard library alone, because exports carry a copy of this file.

The content of <answer> or \boxed{} is the answer; else what is declared ("the answer is B", {"answer": "B"}), a final
answer before all others; else what the text begins or ends with; else what it says in other words. Thoughts (<think>),
repeated options and what is denied ("not A") are ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

_END_LENGTH = 2000  # characters at either end of a reply that are read
_MAX_CONTAINERS = 20  # <answer> and the like that are read
_CHARS_BEFORE, _CHARS_AFTER = 90, 40  # context of a word that decides how it is meant

_THINKING_TAG = r"(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis)"
_THINKING = re.compile(
    rf"(?P<begin>[<◁]{_THINKING_TAG}[>▷])|[<◁]/{_THINKING_TAG}[>▷]|<\|channel\|>final<\|message\|>|assistantfinal",
    re.I,
)
# What follows the end of its turn is not the model's answer.
_END_OF_TURN = re.compile(
    r"</s>|<eos>|<end_of_turn>|<\|(?:end(?!_of_box)|eot|eom|im_end|return|user)[^<>]{0,40}>"
)
_NEXT_QUESTION = re.compile(
    r"\n *(?:question|user|human|q) ?:", re.I
)  # base models go on with another question
_ANGLED = re.compile(r"\s*<([A-Da-d])>\s*")
_STYLE = re.compile(r"</?(?:b|i|u|p|strong|em|code|span|div|br) ?/?>", re.I)
_CONTAINERS = (
    re.compile(
        r"(?:<(?:final_?)?(?:answer|ans|choice|option|response|output)>|<\|begin_of_box\|>)([^<]*)", re.I
    ),
    re.compile(r"\\f?boxed ?\{{1,4}([^{}]*)\}"),
    re.compile(  # JSON, or Python
        r"[\"'](?:final[_ ]|correct[_ ])?(?:answer|choice|option|letter)[\"'] ?:\s?"
        r"(\"(?:[^\"\\]|\\.){0,999}\"|'[^'\n]{0,999}'|\[[^\[\]\n]{0,999}\]|[^,}\n]{0,999})",
        re.I,
    ),
)
_LATEX = re.compile(r"\\(?:text|math|bf|rm|it|tt|sf|large|displaystyle)[a-z]*|\\(?=[()\[\]\"])|\$", re.I)
_TAG = re.compile(r"<[^<>]{1,40}>")
_MARKUP = re.compile(r"[*`#{}\"“”«»「」『』【】~]|(?<![A-Za-z])'|'(?![A-Za-z])")
_ROLE = re.compile(r"\W*(?:\d{1,2}[.)] )?(?:(?:assistant|model|ai|bot|response|output) ?[:\n])?", re.I)
_WORD = re.compile(r"[^\W_]+")

# How the text before a letter, or before yes or no, ends where the answer is declared, stated or denied.
_NOUN = r"(?<![a-z])(?:answer|choice|option|selection|letter|prediction)s?(?: ?\([^()]*\))?"
_VERB = r"(?: [a-z']{1,15}){0,10}? (?:is|are|was|(?:would|should|must|will) be)\b"
_ADVERBS = r"(?: ?[:>-]| (?:indeed|clearly|likely|most|probably|just|simply)\b)*"
_LEAD = re.compile(
    rf"(?P<final>final (?:\w{{1,12}} )?)?"
    rf"(?:{_NOUN}(?:{_VERB}|(?: [a-z]{{1,12}}){{0,4}} ?(?:[:=]|-?>))|\banswer|\bans\.?){_ADVERBS}"
    rf"(?: (?:option|choice|letter|answer)\b ?:?)?[ \n(\[<]*$",
    re.I,
)
_STATEMENT = re.compile(
    r"\b(?:option|choice|letter|with|choos(?:e|ing)|chose|pick(?:ing)?|select(?:ed|ing)?|"
    r"prefer|think|guess|leaves|only|"
    r"would say|i'd say|it's|it is|must be|likely|probably|maybe|definitely|therefore|thus|hence|so)"
    r"[ ,:]*(?:(?:the )?(?:option|choice) )?[(\[]*$"
    r"|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af][\s:(「]*$",  # these languages write no space before a letter
    re.I,
)
_NOT = r"(?:\bnot|n't|\bnever|\bneither|\bnor|\brather than|\binstead of|\bunlike|\bthan|\bexcept|\bwithout)"
_DENIED = re.compile(
    rf"{_NOT}(?: (?:be|in|the|answer|option|choice|say|really|[a-d]|or|nor|and))*[ (\[]+$", re.I
)
# "I prefer B to A", "B over A", "I change it from A to B".
_LESS_PREFERRED = re.compile(
    r"(?:\bprefer\w* (?:option )?[(\[]?[a-d][)\]]? (?:is )?(?:to|over)|\b[a-d][)\]]? (?:is preferable to|over)|\bfrom)"
    r"(?: option| answer)? ?[(\[]*$"
    r"|\b(?:anything|all|everything) but [(\[]*$",
    re.I,
)
_CONDITIONAL = re.compile(r"\b(?:cannot(?: \w+)?|if|whether|either|there (?:is|are)) $")  # before yes or no
_LETTER_AS_NAME = re.compile(r"\b(?:person|player|figure|group|team|plan|vitamin) $", re.I)  # before a letter

_LETTER = re.compile(r"(?<![A-Za-z0-9'])[A-Da-d](?![A-Za-z0-9]|[-'][A-Za-z])")
_DELIMITED = re.compile(
    r" ?(?:[)\].,;:!?…/✓✔✅]|\[\d|\((?=[\d~≈]|conf|correct|prob)|$|\n|[-–—](?: |$))| \d{1,3} ?%"
)
_REASON = re.compile(r" (?:and not|but not|because|since|as|for|is|seems|rather|instead|over|not)\b")
_REFUTED = re.compile(
    r"[)\]]? ?(?:isn't|is not|can be (?:ruled out|excluded|eliminated)|(?:is|are|seems|looks) (?:\w+ )?"
    r"(?:wrong|incorrect|false|not|out|impossible|unlikely|less likely|eliminated|excluded|ruled out))\b"
    r"|[)\]]?\? (?:no|wrong|false)\b|[)\].]? ?[:=–—-] ?(?:false|incorrect|wrong|no|[✗✘❌×])(?= ?(?:[.,;\n]|$))",
    re.I,
)
_CONFIRMED = re.compile(
    r"[)\]]? (?:is|seems|looks|would be|appears)(?: to be)?(?: (?:the|most|best|only|right|correct|final))* "
    r"(?:correct|right|best|accurate|appropriate|answer|choice|option|one)\b"
)
# A second letter after the first: "A or B", "A, B and C". "B, A person sits" has one letter only.
_SECOND_LETTER = re.compile(
    r"(?:[)\].?]? ?(?:(?:,? ?(?i:or|and|maybe)\b|->|→|[-–—,/&|]) ?(?:option )?[(\[]?([B-D]\b|A\b(?! [a-z]))|or (A)\b)"
    r"|[)\]?]? [(\[]?([A-D])\b(?! [a-z]))(?!['-])"
)
# The best of a ranking is the first, "A > B > C", or the last, "C < B < A".
_RANKED = re.compile(r"(?<![A-Za-z0-9'])([A-D])(?: ?(?:>{1,2}=?|≻|≥|≽) ?([A-D])\b){1,3}(?![A-Za-z0-9'])")
_RANKED_UP = re.compile(r"(?<![A-Za-z0-9'])([A-D])(?: ?(?:<{1,2}=?|≺|≤|≼) ?([A-D])\b){1,3}(?![A-Za-z0-9'])")
# Each choice is judged separately: "A: False, B: True".
_TRUE_OR_FALSE = re.compile(
    r"(?<![A-Za-z0-9'])[(\[]?([A-D])[)\].]? ?(?:[:=–—-]|is\b)? ?(?P<words>[^\n:=–—,;.✓✔✅✗✘❌×(]{0,60}[:=–—,.( -] ?)??"
    r"(?:(?P<yes>true\b|yes\b|correct\b|[✓✔✅])|false\b|no\b|incorrect\b|not (?:correct|true)\b|wrong\b|[✗✘❌×])",
    re.I,
)
_LISTED = re.compile(r"(?<![A-Za-z0-9'])[(\[]?([A-Da-d])([)\].:])\W*")
# Words that do not tell choices apart: "the person is lying".
_STOP_WORDS = frozenset(
    _WORD.findall(
        "the a an is are it he she they his her their own person man woman answer there be being only just has have"
    )
)
_NUMBERS = {
    word: str(n)
    for n, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
}
_COUNTS = {digit: word for word, digit in _NUMBERS.items()}
# Words that change the meaning of a sentence with the words of a choice.
_DOUBT_WORDS = frozenset(
    _WORD.findall("not no t never neither nor without cannot if whether unless or either than except")
)
_NEGATED_BEFORE = re.compile(
    rf"(?:{_NOT}|\bno|\bno one|\bnobody|\bnone) "
    r"(?:(?:is|are|be|being|has|have|a|the|really|actually|clearly|either) )*$"
)
_NEGATED_AFTER = re.compile(r" (?:is|are|was|were|does|do)(?: not\b|n't\b)")
_QUESTION_START = re.compile(
    r"(?:^|[.!?\n:] ?)(?:is|are|was|were|do|does|did|has|have|can|could|would)\b[^.!?\n]*$"
)
_QUESTION_END = re.compile(r"[^.!?\n]{0,60}\?")
_CONJUNCTION = re.compile(r"([^\W_]{1,20}),? (?:and|or|&) (?:(?:the|their|his|her|own) )*$")
_NUMBER_RANGE = re.compile(
    r",? ?(?:or|to|-|–) ?(?:\d|zero|one|two|three|four|five|six|seven|eight|nine|ten)\b"
)
_LIST_CONTINUES = re.compile(r",? (?:or|nor|and) (?:(?:is|are|a|the) )*")

_POLITE = re.compile(
    r"\W*(?:certainly|absolutely|definitely|of course|sure)\b(?! not)"
)  # "Certainly! The answer is no."
_ABBREVIATED = re.compile(r"(?<=answer: )[yn](?=\W*(?:$|\n))")
_OPTION_PAIR = re.compile(
    r"[(\[]?\b(?:yes ?(?:/|\||or|and) ?no|no ?(?:/|\||or|and) ?yes|y ?[/|] ?n|true ?(?:/|\||or) ?false)\b[)\]]?[:?.]*"
)
_AGREEMENT = re.compile(
    r"\W*(?:that(?:'s| is) )?(?:(?P<yes>correct|absolutely|definitely|certainly|indeed|affirmative|y|(?:yes){2,})"
    r"|incorrect|wrong|negative|(?:absolutely|definitely|certainly|of course) not|n|(?:no){2,})(?=\W*$|[,.!;:\n])"
)
# Complete sentences: "It does.", "She isn't.", "I don't think so."
_AUX = r"(?:is|are|was|were|does|do|did|has|have)"
_PERSON = (
    r"(?:it|he|she|they|there|(?:the|this|that) (?:person|man|woman|boy|girl|child|player|one)"
    r"|(?:s?he|they) both)"
)
_CLAIM = r"(?:that|this|(?:the|this|that|your) (?:statement|claim|description|assertion|sentence))"
_SENTENCE_ANSWER = re.compile(
    r"(?:^|(?<=[.!;:\n] )|(?<=\n)|(?<=\byes, )|(?<=\bno, ))"
    r"(?:(?:i'm |i am )?(?:well|so|ah|oh|then|afraid|in this (?:image|picture|photo)),? )?"
    r"(?:"
    rf"(?P<yes>{_PERSON} {_AUX}(?: (?:indeed|so))?|(?:i (?:think|believe|guess|suppose)|it (?:seems|appears|looks)) so"
    rf"|it (?:seems|looks) like it|{_CLAIM}(?:'s| is) (?:true|right|correct|accurate|the case)"
    r"|affirmative|positive|of course|sure|exactly|(?:most |very )?(?:likely|probably)"
    r"|(?:very )?much so|yea|ye|ya|aye|yess+"
    r"|是的?|对的?|はい|ja|oui|s[ií]|да|✓|✔|✅)"
    rf"|(?P<no>{_PERSON} {_AUX}(?:n't| not)|i (?:don't|do not) (?:think|believe) so|it (?:seems|appears) not"
    rf"|it (?:doesn't|does not) (?:seem|appear|look) (?:so|like it|to be)|{_CLAIM}(?:'s| is)(?: false| wrong| incorrect"
    r"| inaccurate| untrue| not (?:true|right|correct|accurate|the case))"
    rf"|{_CLAIM} isn't (?:true|right|correct|accurate)"
    r"|negative|(?:i'm |i am )?afraid not"
    r"|(?:of course|probably|surely|likely|certainly|apparently|i think) not"
    r"|not (?:at all|really|quite|exactly|likely)"
    r"|(?:very |highly )?unlikely|by no means|不是?|否|没有|いいえ|nein|non|нет|✗|✘|❌)"
    r")\ufe0f? ?(?=[.!。\n]|$)"
)
_YES, _NO = ("yes", "yeah", "yep", "yup", "true"), ("no", "nope", "nah", "false")
_YES_NO_WORD = re.compile(
    rf"\b(?:{'|'.join((*_YES, *_NO))})\b(?! ?(?:one|doubt|idea|clue|way to|information|comment|problem)\b|-)"
)
_ENDS = re.compile(r" ?(?:[.,;:!)\]\n]|$)")
_BEGINS = re.compile(r"(?:^|[,;:.!?(\n-]) ?(?:or |and )?$")
_SUBJECT = re.compile(r" (?:the|he|she|they|it|there|this)\b")


def answer_of(text: str, choices: Sequence[str] = ()) -> str | None:
    """Parse a model's reply.

    A letter counts where it is alone, in brackets or before punctuation, at the beginning, at the end or after "the
    answer is". The words of a choice count where no other choice's words occur. Several answers count as none.

    Args:
        text: The reply.
        choices: Texts of the choices `A`, `B` and so on; none for a yes-or-no question.

    Returns:
        `yes` or `no`, or the letter of a choice; None where the reply is unclear.
    """
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    if choices and (angled := _ANGLED.fullmatch(text)):
        text = angled[1]
    text = _without_thoughts(text)
    if next_question := _NEXT_QUESTION.search(text):
        answer = _parse(text[: next_question.start()], choices)
        if answer is not None:
            return answer
    return _parse(text, choices)


def _parse(text: str, choices: Sequence[str]) -> str | None:
    for container in _CONTAINERS:
        contents = [
            content.replace("\\n", "\n") for content in container.findall(text) if _WORD.search(content)
        ]
        if contents:
            return _unanimous(_read(content, choices) for content in contents[-_MAX_CONTAINERS:])
    return _read(text, choices)


def _without_thoughts(text: str) -> str:
    """The text without thoughts and without what follows the end of the turn."""
    parts: list[str] = []
    start, thinking = 0, False
    for match in _THINKING.finditer(text):
        if match["begin"] is None:
            if not thinking:
                parts.clear()  # the opening tag is missing
            thinking = False
        elif not thinking:
            parts.append(text[start : match.start()])
            thinking = True
        start = match.end()
    if not thinking:
        parts.append(text[start:])
    turns = (turn for turn in _END_OF_TURN.split(" ".join(parts)) if turn.strip())
    return _LATEX.sub("", _STYLE.sub(" ", next(turns, "")))


def _read(text: str, choices: Sequence[str]) -> str | None:
    if len(text) > 2 * _END_LENGTH:
        text = f"{text[:_END_LENGTH]}\n{text[-_END_LENGTH:]}"
    text = _MARKUP.sub("", _TAG.sub(" ", text).replace("_", " "))
    text = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    role = _ROLE.match(text)
    text = text[role.end() :] if role and role[0].strip() and _WORD.search(role[0]) else text
    return _letter(text, choices) if choices else _yes_or_no(text.lower())


def _unanimous(answers: Iterable[str | None]) -> str | None:
    """The answer on which all agree."""
    values = set(answers)
    return values.pop() if len(values) == 1 else None


def _strongest(ranked: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """The answers of the highest level: 4 is declared as final; 3 declared, 2 first or last; 1 stated at all."""
    for level in (4, 2, 1):
        answers = {answer for rank, answer in ranked if rank >= level}
        if answers:
            return tuple(answers)
    return ()


def _declaration_rank(before: str) -> int:
    lead = _LEAD.search(before)
    return 0 if lead is None else 4 if lead["final"] else 3


def _yes_or_no(text: str) -> str | None:
    text = _OPTION_PAIR.sub("", text).strip()
    text = _ABBREVIATED.sub(lambda short: {"y": "yes", "n": "no"}[short[0]], text)
    sentences = [*_SENTENCE_ANSWER.finditer(text)]
    if agreement := _AGREEMENT.match(text):
        sentences.append(agreement)
    ranked = [(1 if _POLITE.match(match[0]) else 2, "yes" if match["yes"] else "no") for match in sentences]
    text = _SENTENCE_ANSWER.sub("", text[agreement.end() :] if agreement else text)
    for match in _YES_NO_WORD.finditer(text):
        before, after = (
            text[max(0, match.start() - _CHARS_BEFORE) : match.start()],
            text[match.end() :][:_CHARS_AFTER],
        )
        if _DENIED.search(before) or _CONDITIONAL.search(before):
            continue
        rank = _declaration_rank(before)
        begins, ends = _BEGINS.search(before), _ENDS.match(after)
        is_yes_or_no = match[0] in ("yes", "no")
        if not rank and (
            (ends and (begins or is_yes_or_no)) or not _WORD.search(before) or before in ("a: ", "a:")
        ):
            rank = 2
        elif not rank and is_yes_or_no:  # "there is no chair" is no answer
            rank = int(match[0] == "yes" or bool(begins and _SUBJECT.match(after)))
        ranked.append((rank, "yes" if match[0] in _YES else "no"))
    return _unanimous(_strongest(ranked))


def _letter(text: str, choices: Sequence[str]) -> str | None:
    choice_words = {letter: _words(choice) for letter, choice in zip("ABCD", choices, strict=False)}
    true_choice = _true_choice(text, choice_words)
    text = _RANKED.sub(r"\1.", _RANKED_UP.sub(r"\2.", text))
    text = _without_options(text, choice_words)
    ranked: list[tuple[int, str]] = []
    for match in _LETTER.finditer(text):
        before, rest = text[max(0, match.start() - _CHARS_BEFORE) : match.start()], text[match.end() :]
        after, letter, capital = rest[:_CHARS_AFTER], match[0].upper(), match[0].isupper()
        if any(
            pattern.search(before) for pattern in (_DENIED, _LESS_PREFERRED, _LETTER_AS_NAME)
        ) or _REFUTED.match(after):
            continue
        first, last = not _WORD.search(before), capital and not rest.strip(" )].!。")
        words_after = _words(rest) if first else ()
        if any(words_after == words != () for other, words in choice_words.items() if other != letter):
            return None  # the letter of one choice, the words of another
        delimited = bool(_DELIMITED.match(after)) or (capital and bool(_REASON.match(after)))
        content = _content_words(words_after) if delimited else ()
        if (
            content
            and choice_words.get(letter)
            and content != _content_words(choice_words[letter])
            and content in map(_content_words, choice_words.values())
        ):
            return None
        rank = 0
        if (
            delimited
            or last
            or (capital and letter != "A")
            or (first and words_after == choice_words.get(letter))
        ):
            rank = _declaration_rank(before)
            if not rank and (last or (first and (delimited or words_after == choice_words.get(letter)))):
                rank = 2
            if not rank and (
                _STATEMENT.search(before) or (before.endswith(("(", "[")) and after.startswith((")", "]")))
            ):
                rank = 1
        if capital and _CONFIRMED.match(after):
            rank = max(rank, 3)
        other = _SECOND_LETTER.match(after) if capital else None
        if other:
            rank = max(rank, 2 if first or not rest[other.end() :].strip(" )].!。") else 1)
            ranked.append((rank, other[1] or other[2] or other[3]))
        ranked.append((rank, letter))
    if true_choice and all(rank < 3 for rank, _ in ranked):
        return true_choice if true_choice in choice_words else None
    strongest = _strongest(ranked)
    if strongest:
        return strongest[0] if len(strongest) == 1 and strongest[0] in choice_words else None
    return _by_words(text, choice_words)


def _true_choice(text: str, choice_words: Mapping[str, tuple[str, ...]]) -> str:
    """The letter that is called true where others are called false: `?` for several, empty for none."""
    true, false = set[str](), set[str]()
    for match in _TRUE_OR_FALSE.finditer(text):
        if not match["words"] or _words(match["words"]) == choice_words.get(match[1].upper()):
            (true if match["yes"] else false).add(match[1].upper())
    if len(true | false) < 2 or not true:
        return ""
    return "".join(true) if len(true) == 1 and not true & false else "?"


def _without_options(text: str, choice_words: Mapping[str, tuple[str, ...]]) -> str:
    """The text without a repetition of the options: "A. standing B. sitting The answer is B"."""
    options: list[tuple[int, int, bool]] = []  # start, end, whether it is certainly an option
    for match in _LISTED.finditer(text):
        letter, line_end = match[1].upper(), text.find("\n", match.end())
        expected = choice_words.get(letter, ())
        words_after = list(islice(_WORD.finditer(text, match.end()), len(expected)))
        if expected and tuple(word[0].lower() for word in words_after) == expected:
            option = (match.start(), words_after[-1].end(), True)
        else:  # a letter with a full stop may end a sentence
            certain = match[2] != "." or text[match.start() - 1 : match.start()] in ("", "\n")
            option = (match.start(), len(text) if line_end < 0 else line_end, certain)
        if letter == "A" and len(options) < 2:
            options = [option]
        elif options and letter == "ABCD"[len(options) : len(options) + 1]:
            options.append(option)
    if len(options) > 1 and (len(options) == len(choice_words) or all(certain for *_, certain in options)):
        return f"{text[: options[0][0]]} {text[options[-1][1] :]}"
    return text


def _by_words(text: str, choice_words: Mapping[str, tuple[str, ...]]) -> str | None:
    """The choice whose words occur in the text, or, in a text that is shorter than a choice, a part of them."""
    text = text.lower()
    # longest first: "not at the hip" contains "at the hip"
    longest_first = sorted(
        ((words, letter) for letter, words in choice_words.items() if words), key=lambda pair: -len(pair[0])
    )
    patterns = (f"(?P<{letter}>{_choice_pattern(words)})" for words, letter in longest_first)
    letters, denied_end = set(), -1
    for match in (
        re.finditer(rf"(?<![^\W_])(?:{'|'.join(patterns)})(?![^\W_])", text) if longest_first else ()
    ):
        before = text[max(0, match.start() - _CHARS_BEFORE) : match.start()]
        if (
            (_QUESTION_START.search(before) and _QUESTION_END.match(text, match.end()))
            or _NEGATED_AFTER.match(text, match.end())
            or _NEGATED_BEFORE.search(before)
            or (denied_end >= 0 and _LIST_CONTINUES.fullmatch(text, denied_end, match.start()))
        ):
            denied_end = match.end()
        elif _NUMBER_RANGE.match(text, match.end()) or _joined_to_other_choice(
            before, choice_words, str(match.lastgroup)
        ):
            return None
        else:
            letters |= {
                letter for words, letter in longest_first if words == choice_words[str(match.lastgroup)]
            }
    if not letters and denied_end < 0:
        letters = _by_part(text, {letter: _content_words(words) for letter, words in choice_words.items()})
    return letters.pop() if len(letters) == 1 else None


def _joined_to_other_choice(before: str, choice_words: Mapping[str, tuple[str, ...]], letter: str) -> bool:
    """Whether a word of another choice is joined to the words of this one: "the left and right arm"."""
    word = _CONJUNCTION.search(before)
    others = {word for words in choice_words.values() for word in words} - {
        *choice_words[letter],
        *_STOP_WORDS,
    }
    return word is not None and word[1] in others


def _by_part(text: str, choice_words: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The choices that a text without their exact words can mean, by their content words.

    Either the text is a part of a choice that tells it from similar ones, or it has all words of one choice and none of
    another.
    """
    choice_words = {letter: _with_digits(words) for letter, words in choice_words.items()}
    text_words = _with_digits(_content_words(_words(text)))
    if not text_words or (_QUESTION_START.match(text) and text.endswith("?")):
        return set()
    containing = {letter for letter, words in choice_words.items() if _is_part(text_words, words)}
    if containing:
        if len(containing) > 1 and any(choice_words[letter] == text_words for letter in containing):
            return {letter for letter in containing if choice_words[letter] == text_words}
        return {
            letter
            for letter in containing
            if all(
                _distinguishing_words(choice_words[letter], other) <= {*text_words}
                for other in choice_words.values()
            )
        }
    all_choice_words = {word for words in choice_words.values() for word in words}
    return {
        letter
        for letter, words in choice_words.items()
        if words
        and not all(word.isdigit() for word in words)
        and "?" not in text
        and _is_part(words, text_words)
        and not (all_choice_words | _DOUBT_WORDS) & {*text_words} - {*words}
    }


def _content_words(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _STOP_WORDS)


def _with_digits(words: tuple[str, ...]) -> tuple[str, ...]:
    """Number words as digits, but for "one", as in "the one in front"."""
    return tuple(word if word == "one" else _NUMBERS.get(word, word) for word in words)


def _distinguishing_words(words: tuple[str, ...], other: tuple[str, ...]) -> set[str]:
    """The words of a choice that another choice lacks; none where the two have nothing in common."""
    stems = {word.rstrip("s") for word in other}
    own_words = {word for word in words if word.rstrip("s") not in stems}
    return own_words if len(own_words) < len(words) else set()


def _is_part(part: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


def _choice_pattern(words: tuple[str, ...]) -> str:
    """A pattern for the words of a choice, with numbers as words or digits."""
    is_single = len(words) == 1  # "the one in front" is no number
    one_pattern = (
        r"(?:1|(?<!the )(?<!this )(?<!that )(?<!each )(?<!any )one(?! (?:of|in|on|at|with|who|can)\b))"
    )
    return r"[\W_]+".join(
        one_pattern if is_single and word in ("1", "one")
        else rf"(?:(?<!\d[.,]){word}(?![.,]\d)|{_COUNTS[word]})" if word in _COUNTS
        else re.escape(word)
        for word in (_NUMBERS.get(word, word) for word in words)
    )  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))
