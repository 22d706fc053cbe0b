r"""Which answer a model meant by its words. Uses the standard library alone: exports carry a copy of this file.

What stands in <answer> or \boxed{} is the answer; else what is declared ("the answer is B", {"answer": "B"}), a final
answer before all others; else what the text begins or ends with; else what it says in other words. What a model thinks
aloud first (<think>), the options said over, and what is denied ("not A") are no answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

_END = 2000  # characters of either end of an answer that are read
_MOST = 20  # and as many <answer> and the like
_BEFORE, _AFTER = 90, 40  # characters around a word that say how it is meant

_THOUGHT = r"(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis)"
_THINKING = re.compile(
    rf"(?P<begin>[<◁]{_THOUGHT}[>▷])|[<◁]/{_THOUGHT}[>▷]|<\|channel\|>final<\|message\|>|assistantfinal", re.I
)
# Behind the end of its turn a model speaks for others.
_TURN = re.compile(r"</s>|<eos>|<end_of_turn>|<\|(?:end(?!_of_box)|eot|eom|im_end|return|user)[^<>]{0,40}>")
_ASKED_ON = re.compile(r"\n *(?:question|user|human|q) ?:", re.I)  # models that were never tuned ask on
_ANGLED = re.compile(r"\s*<([A-Da-d])>\s*")
_STYLE = re.compile(r"</?(?:b|i|u|p|strong|em|code|span|div|br) ?/?>", re.I)
_GIVEN = (
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
_MARKS = re.compile(r"[*`#{}\"“”«»「」『』【】~]|(?<![A-Za-z])'|'(?![A-Za-z])")
_ROLE = re.compile(r"\W*(?:\d{1,2}[.)] )?(?:(?:assistant|model|ai|bot|response|output) ?[:\n])?", re.I)
_WORD = re.compile(r"[^\W_]+")

# How what stands before a letter, or before yes or no, ends where it is declared, said, or denied.
_NOUN = r"(?<![a-z])(?:answer|choice|option|selection|letter|prediction)s?(?: ?\([^()]*\))?"
_VERB = r"(?: [a-z']{1,15}){0,10}? (?:is|are|was|(?:would|should|must|will) be)\b"
_SURELY = r"(?: ?[:>-]| (?:indeed|clearly|likely|most|probably|just|simply)\b)*"
_LEAD = re.compile(
    rf"(?P<final>final (?:\w{{1,12}} )?)?"
    rf"(?:{_NOUN}(?:{_VERB}|(?: [a-z]{{1,12}}){{0,4}} ?(?:[:=]|-?>))|\banswer|\bans\.?){_SURELY}"
    rf"(?: (?:option|choice|letter|answer)\b ?:?)?[ \n(\[<]*$",
    re.I,
)
_SAY = re.compile(
    r"\b(?:option|choice|letter|with|choos(?:e|ing)|chose|pick(?:ing)?|select(?:ed|ing)?|"
    r"prefer|think|guess|leaves|only|"
    r"would say|i'd say|it's|it is|must be|likely|probably|maybe|definitely|therefore|thus|hence|so)"
    r"[ ,:]*(?:(?:the )?(?:option|choice) )?[(\[]*$"
    r"|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af][\s:(「]*$",  # no space is written between their words and a letter
    re.I,
)
_NOT = r"(?:\bnot|n't|\bnever|\bneither|\bnor|\brather than|\binstead of|\bunlike|\bthan|\bexcept|\bwithout)"
_DENIED = re.compile(
    rf"{_NOT}(?: (?:be|in|the|answer|option|choice|say|really|[a-d]|or|nor|and))*[ (\[]+$", re.I
)
# "I prefer B to A", "B over A", "I change it from A to B".
_LESS = re.compile(
    r"(?:\bprefer\w* (?:option )?[(\[]?[a-d][)\]]? (?:is )?(?:to|over)|\b[a-d][)\]]? (?:is preferable to|over)|\bfrom)"
    r"(?: option| answer)? ?[(\[]*$"
    r"|\b(?:anything|all|everything) but [(\[]*$",
    re.I,
)
_UNMEANT = re.compile(r"\b(?:cannot(?: \w+)?|if|whether|either|there (?:is|are)) $")  # said of a yes or a no
_NAMED = re.compile(r"\b(?:person|player|figure|group|team|plan|vitamin) $", re.I)  # of a letter

_LETTER = re.compile(r"(?<![A-Za-z0-9'])[A-Da-d](?![A-Za-z0-9]|[-'][A-Za-z])")
_MARKED = re.compile(
    r" ?(?:[)\].,;:!?…/✓✔✅]|\[\d|\((?=[\d~≈]|conf|correct|prob)|$|\n|[-–—](?: |$))| \d{1,3} ?%"
)
_REASON = re.compile(r" (?:and not|but not|because|since|as|for|is|seems|rather|instead|over|not)\b")
_REFUTED = re.compile(
    r"[)\]]? ?(?:isn't|is not|can be (?:ruled out|excluded|eliminated)|(?:is|are|seems|looks) (?:\w+ )?"
    r"(?:wrong|incorrect|false|not|out|impossible|unlikely|less likely|eliminated|excluded|ruled out))\b"
    r"|[)\]]?\? (?:no|wrong|false)\b|[)\].]? ?[:=–—-] ?(?:false|incorrect|wrong|no|[✗✘❌×])(?= ?(?:[.,;\n]|$))",
    re.I,
)
_APT = re.compile(
    r"[)\]]? (?:is|seems|looks|would be|appears)(?: to be)?(?: (?:the|most|best|only|right|correct|final))* "
    r"(?:correct|right|best|accurate|appropriate|answer|choice|option|one)\b"
)
# Another letter behind one: "A or B", "A, B and C"; but "B, A person sits" names one alone.
_OTHER = re.compile(
    r"(?:[)\].?]? ?(?:(?:,? ?(?i:or|and|maybe)\b|->|→|[-–—,/&|]) ?(?:option )?[(\[]?([B-D]\b|A\b(?! [a-z]))|or (A)\b)"
    r"|[)\]?]? [(\[]?([A-D])\b(?! [a-z]))(?!['-])"
)
# The best of a ranking stands first, "A > B > C", or last, "C < B < A".
_RANKED = re.compile(r"(?<![A-Za-z0-9'])([A-D])(?: ?(?:>{1,2}=?|≻|≥|≽) ?([A-D])\b){1,3}(?![A-Za-z0-9'])")
_RANKED_UP = re.compile(r"(?<![A-Za-z0-9'])([A-D])(?: ?(?:<{1,2}=?|≺|≤|≼) ?([A-D])\b){1,3}(?![A-Za-z0-9'])")
# Each choice judged alone: "A: False, B: True".
_JUDGED = re.compile(
    r"(?<![A-Za-z0-9'])[(\[]?([A-D])[)\].]? ?(?:[:=–—-]|is\b)? ?(?P<words>[^\n:=–—,;.✓✔✅✗✘❌×(]{0,60}[:=–—,.( -] ?)??"
    r"(?:(?P<yes>true\b|yes\b|correct\b|[✓✔✅])|false\b|no\b|incorrect\b|not (?:correct|true)\b|wrong\b|[✗✘❌×])",
    re.I,
)
_LISTED = re.compile(r"(?<![A-Za-z0-9'])[(\[]?([A-Da-d])([)\].:])\W*")
# What no choice is known by: "the person is lying".
_FILLING = frozenset(
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
# What makes a sentence that holds the words of a choice say something else.
_DOUBT = frozenset(
    _WORD.findall("not no t never neither nor without cannot if whether unless or either than except")
)
_UNSAID = re.compile(
    rf"(?:{_NOT}|\bno|\bno one|\bnobody|\bnone) "
    r"(?:(?:is|are|be|being|has|have|a|the|really|actually|clearly|either) )*$"
)
_UNSAID_BEHIND = re.compile(r" (?:is|are|was|were|does|do)(?: not\b|n't\b)")
_ASKS = re.compile(r"(?:^|[.!?\n:] ?)(?:is|are|was|were|do|does|did|has|have|can|could|would)\b[^.!?\n]*$")
_ASKED = re.compile(r"[^.!?\n]{0,60}\?")
_JOINS = re.compile(r"([^\W_]{1,20}),? (?:and|or|&) (?:(?:the|their|his|her|own) )*$")
_HEDGED = re.compile(r",? ?(?:or|to|-|–) ?(?:\d|zero|one|two|three|four|five|six|seven|eight|nine|ten)\b")
_GOES_ON = re.compile(r",? (?:or|nor|and) (?:(?:is|are|a|the) )*")

_POLITE = re.compile(
    r"\W*(?:certainly|absolutely|definitely|of course|sure)\b(?! not)"
)  # "Certainly! The answer is no."
_SHORT = re.compile(r"(?<=answer: )[yn](?=\W*(?:$|\n))")
_OF_TWO = re.compile(
    r"[(\[]?\b(?:yes ?(?:/|\||or|and) ?no|no ?(?:/|\||or|and) ?yes|y ?[/|] ?n|true ?(?:/|\||or) ?false)\b[)\]]?[:?.]*"
)
_AGREED = re.compile(
    r"\W*(?:that(?:'s| is) )?(?:(?P<yes>correct|absolutely|definitely|certainly|indeed|affirmative|y|(?:yes){2,})"
    r"|incorrect|wrong|negative|(?:absolutely|definitely|certainly|of course) not|n|(?:no){2,})(?=\W*$|[,.!;:\n])"
)
# Of whole sentences: "It does.", "She isn't.", "I don't think so."
_AUX = r"(?:is|are|was|were|does|do|did|has|have)"
_WHO = r"(?:it|he|she|they|there|(?:the|this|that) (?:person|man|woman|boy|girl|child|player|one)|(?:s?he|they) both)"
_CLAIM = r"(?:that|this|(?:the|this|that|your) (?:statement|claim|description|assertion|sentence))"
_PLAINLY = re.compile(
    r"(?:^|(?<=[.!;:\n] )|(?<=\n)|(?<=\byes, )|(?<=\bno, ))"
    r"(?:(?:i'm |i am )?(?:well|so|ah|oh|then|afraid|in this (?:image|picture|photo)),? )?"
    r"(?:"
    rf"(?P<yes>{_WHO} {_AUX}(?: (?:indeed|so))?|(?:i (?:think|believe|guess|suppose)|it (?:seems|appears|looks)) so"
    rf"|it (?:seems|looks) like it|{_CLAIM}(?:'s| is) (?:true|right|correct|accurate|the case)"
    r"|affirmative|positive|of course|sure|exactly|(?:most |very )?(?:likely|probably)"
    r"|(?:very )?much so|yea|ye|ya|aye|yess+"
    r"|是的?|对的?|はい|ja|oui|s[ií]|да|✓|✔|✅)"
    rf"|(?P<no>{_WHO} {_AUX}(?:n't| not)|i (?:don't|do not) (?:think|believe) so|it (?:seems|appears) not"
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
_SAID = re.compile(
    rf"\b(?:{'|'.join((*_YES, *_NO))})\b(?! ?(?:one|doubt|idea|clue|way to|information|comment|problem)\b|-)"
)
_ENDS = re.compile(r" ?(?:[.,;:!)\]\n]|$)")
_BEGINS = re.compile(r"(?:^|[,;:.!?(\n-]) ?(?:or |and )?$")
_SUBJECT = re.compile(r" (?:the|he|she|they|it|there|this)\b")


def answer_of(text: str, choices: Sequence[str] = ()) -> str | None:
    """`yes` or `no`, or with choices a letter from `A` on; None where it is not clear what is meant.

    A letter counts where it stands alone, in brackets or with a mark behind it, at the beginning, at the end or after
    "the answer is"; the words of a choice where those of no other are there. More than one answer is none.
    """
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    if choices and (angled := _ANGLED.fullmatch(text)):
        text = angled[1]
    text = _told(text)
    if asked_on := _ASKED_ON.search(text):
        found = _meant(text[: asked_on.start()], choices)
        if found is not None:
            return found
    return _meant(text, choices)


def _meant(text: str, choices: Sequence[str]) -> str | None:
    for container in _GIVEN:
        given = [inside.replace("\\n", "\n") for inside in container.findall(text) if _WORD.search(inside)]
        if given:
            return _one(_read(inside, choices) for inside in given[-_MOST:])
    return _read(text, choices)


def _told(text: str) -> str:
    """Without what is thought before, and what comes behind the end of the turn."""
    parts: list[str] = []
    start, thinking = 0, False
    for match in _THINKING.finditer(text):
        if match["begin"] is None:
            if not thinking:
                parts.clear()  # the thoughts began before the text
            thinking = False
        elif not thinking:
            parts.append(text[start : match.start()])
            thinking = True
        start = match.end()
    if not thinking:
        parts.append(text[start:])
    turns = (turn for turn in _TURN.split(" ".join(parts)) if turn.strip())
    return _LATEX.sub("", _STYLE.sub(" ", next(turns, "")))


def _read(text: str, choices: Sequence[str]) -> str | None:
    if len(text) > 2 * _END:
        text = f"{text[:_END]}\n{text[-_END:]}"
    text = _MARKS.sub("", _TAG.sub(" ", text).replace("_", " "))
    text = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    role = _ROLE.match(text)
    text = text[role.end() :] if role and role[0].strip() and _WORD.search(role[0]) else text
    return _letter(text, choices) if choices else _yes_or_no(text.lower())


def _one(found: Iterable[str | None]) -> str | None:
    """What all agree on."""
    values = set(found)
    return values.pop() if len(values) == 1 else None


def _strongest(found: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """Of answers with their ranks those that count: declared as final; declared, first or last; or said at all."""
    ranked = list(found)
    for least in (4, 2, 1):
        answers = {answer for rank, answer in ranked if rank >= least}
        if answers:
            return tuple(answers)
    return ()


def _declared(before: str) -> int:
    lead = _LEAD.search(before)
    return 0 if lead is None else 4 if lead["final"] else 3


def _yes_or_no(text: str) -> str | None:
    text = _OF_TWO.sub("", text).strip()
    text = _SHORT.sub(lambda short: {"y": "yes", "n": "no"}[short[0]], text)
    plainly = [*_PLAINLY.finditer(text)]
    if agreed := _AGREED.match(text):
        plainly.append(agreed)
    found = [(1 if _POLITE.match(match[0]) else 2, "yes" if match["yes"] else "no") for match in plainly]
    text = _PLAINLY.sub("", text[agreed.end() :] if agreed else text)
    for match in _SAID.finditer(text):
        before, after = text[max(0, match.start() - _BEFORE) : match.start()], text[match.end() :][:_AFTER]
        if _DENIED.search(before) or _UNMEANT.search(before):
            continue
        rank = _declared(before)
        begins, ends = _BEGINS.search(before), _ENDS.match(after)
        plain = match[0] in ("yes", "no")
        if not rank and ((ends and (begins or plain)) or not _WORD.search(before) or before in ("a: ", "a:")):
            rank = 2
        elif not rank and plain:  # "there is no chair" says nothing
            rank = int(match[0] == "yes" or bool(begins and _SUBJECT.match(after)))
        found.append((rank, "yes" if match[0] in _YES else "no"))
    return _one(_strongest(found))


def _letter(text: str, choices: Sequence[str]) -> str | None:
    named = {letter: _words(choice) for letter, choice in zip("ABCD", choices, strict=False)}
    judged = _judged(text, named)
    text = _RANKED.sub(r"\1.", _RANKED_UP.sub(r"\2.", text))
    text = _unlisted(text, named)
    found: list[tuple[int, str]] = []
    for match in _LETTER.finditer(text):
        before, rest = text[max(0, match.start() - _BEFORE) : match.start()], text[match.end() :]
        after, letter, capital = rest[:_AFTER], match[0].upper(), match[0].isupper()
        if any(way.search(before) for way in (_DENIED, _LESS, _NAMED)) or _REFUTED.match(after):
            continue
        first, last = not _WORD.search(before), capital and not rest.strip(" )].!。")
        behind = _words(rest) if first else ()
        if any(behind == words != () for other, words in named.items() if other != letter):
            return None  # the letter of one choice, the words of another
        clear = bool(_MARKED.match(after)) or (capital and bool(_REASON.match(after)))
        telling = _telling(behind) if clear else ()
        if (
            telling
            and named.get(letter)
            and telling != _telling(named[letter])
            and telling in map(_telling, named.values())
        ):
            return None
        rank = 0
        if clear or last or (capital and letter != "A") or (first and behind == named.get(letter)):
            rank = _declared(before)
            if not rank and (last or (first and (clear or behind == named.get(letter)))):
                rank = 2
            if not rank and (
                _SAY.search(before) or (before.endswith(("(", "[")) and after.startswith((")", "]")))
            ):
                rank = 1
        if capital and _APT.match(after):
            rank = max(rank, 3)
        other = _OTHER.match(after) if capital else None
        if other:
            rank = max(rank, 2 if first or not rest[other.end() :].strip(" )].!。") else 1)
            found.append((rank, other[1] or other[2] or other[3]))
        found.append((rank, letter))
    if judged and all(rank < 3 for rank, _ in found):
        return judged if judged in named else None
    said = _strongest(found)
    if said:
        return said[0] if len(said) == 1 and said[0] in named else None
    return _by_words(text, named)


def _judged(text: str, named: Mapping[str, tuple[str, ...]]) -> str:
    """The only letter that is called true where others are called false; `?` where more are, empty where none is."""
    true, false = set[str](), set[str]()
    for match in _JUDGED.finditer(text):
        if not match["words"] or _words(match["words"]) == named.get(match[1].upper()):
            (true if match["yes"] else false).add(match[1].upper())
    if len(true | false) < 2 or not true:
        return ""
    return "".join(true) if len(true) == 1 and not true & false else "?"


def _unlisted(text: str, named: Mapping[str, tuple[str, ...]]) -> str:
    """Without the options, where a text says them over: "A. standing B. sitting The answer is B"."""
    run: list[tuple[int, int, bool]] = []
    for match in _LISTED.finditer(text):
        letter, line = match[1].upper(), text.find("\n", match.end())
        own = named.get(letter, ())
        behind = list(islice(_WORD.finditer(text, match.end()), len(own)))
        if own and tuple(word[0].lower() for word in behind) == own:
            one = (match.start(), behind[-1].end(), True)
        else:  # a letter with a full stop may end a sentence
            sure = match[2] != "." or text[match.start() - 1 : match.start()] in ("", "\n")
            one = (match.start(), len(text) if line < 0 else line, sure)
        if letter == "A" and len(run) < 2:
            run = [one]
        elif run and letter == "ABCD"[len(run) : len(run) + 1]:
            run.append(one)
    if len(run) > 1 and (len(run) == len(named) or all(sure for *_, sure in run)):
        return f"{text[: run[0][0]]} {text[run[-1][1] :]}"
    return text


def _by_words(text: str, named: Mapping[str, tuple[str, ...]]) -> str | None:
    """The choice whose words are there, or, where a text is no longer than a choice, a part of them."""
    text = text.lower()
    # "at the hip" is also in "not at the hip": of two of which one is part of the other, the longer is meant
    known = sorted(
        ((words, letter) for letter, words in named.items() if words), key=lambda one: -len(one[0])
    )
    ways = (f"(?P<{letter}>{_way(words)})" for words, letter in known)
    found, denied_to = set(), -1
    for match in re.finditer(rf"(?<![^\W_])(?:{'|'.join(ways)})(?![^\W_])", text) if known else ():
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        behind = _UNSAID_BEHIND.match(text, match.end())
        if (_ASKS.search(before) and _ASKED.match(text, match.end())) or (
            behind
            or _UNSAID.search(before)
            or (denied_to >= 0 and _GOES_ON.fullmatch(text, denied_to, match.start()))
        ):
            denied_to = match.end()
        elif _HEDGED.match(text, match.end()) or _joined(before, named, str(match.lastgroup)):
            return None
        else:
            found |= {letter for words, letter in known if words == named[str(match.lastgroup)]}
    if not found and denied_to < 0:
        found = _by_part(text, {letter: _telling(words) for letter, words in named.items()})
    return found.pop() if len(found) == 1 else None


def _joined(before: str, named: Mapping[str, tuple[str, ...]], letter: str) -> bool:
    """Whether a word of another choice is joined to the words of this one: "the left and right arm"."""
    word = _JOINS.search(before)
    others = {word for words in named.values() for word in words} - {*named[letter], *_FILLING}
    return word is not None and word[1] in others


def _by_part(text: str, named: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The choices that a text without their very words can mean, by their telling words: all of one within a sentence
    that holds no word of another, or a part of one that tells it from all that are like it."""
    named = {letter: _counted(words) for letter, words in named.items()}
    said = _counted(_telling(_words(text)))
    if not said or (_ASKS.match(text) and text.endswith("?")):
        return set()
    part = {letter for letter, words in named.items() if _inside(said, words)}
    if part:
        if len(part) > 1 and any(named[letter] == said for letter in part):
            return {letter for letter in part if named[letter] == said}
        return {
            letter
            for letter in part
            if all(_differ(named[letter], other) <= {*said} for other in named.values())
        }
    every = {word for words in named.values() for word in words}
    return {
        letter
        for letter, words in named.items()
        if words
        and not all(word.isdigit() for word in words)
        and "?" not in text
        and _inside(words, said)
        and not (every | _DOUBT) & {*said} - {*words}
    }


def _telling(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _FILLING)


def _counted(words: tuple[str, ...]) -> tuple[str, ...]:
    """With digits for numbers in words; "the one in front" is no number."""
    return tuple(word if word == "one" else _NUMBERS.get(word, word) for word in words)


def _differ(words: tuple[str, ...], other: tuple[str, ...]) -> set[str]:
    """The words that tell a choice from one that is like it; none where they have nothing in common."""
    stems = {word.rstrip("s") for word in other}
    apart = {word for word in words if word.rstrip("s") not in stems}
    return apart if len(apart) < len(words) else set()


def _inside(part: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


def _way(words: tuple[str, ...]) -> str:
    """A choice as a pattern; numbers in words or digits."""
    alone = len(words) == 1  # "the one in front" is no number
    one = r"(?:1|(?<!the )(?<!this )(?<!that )(?<!each )(?<!any )one(?! (?:of|in|on|at|with|who|can)\b))"
    return r"[\W_]+".join(
        one if alone and word in ("1", "one")
        else rf"(?:(?<!\d[.,]){word}(?![.,]\d)|{_COUNTS[word]})" if word in _COUNTS
        else re.escape(word)
        for word in (_NUMBERS.get(word, word) for word in words)
    )  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))
