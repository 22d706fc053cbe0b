"""Statements about parts of bodies: "her bent left arm", "both of his hands are behind his back"."""

from __future__ import annotations

from posetalk.facts.noun_phrases import PLURAL, BodyStatement, PhraseReader

_BACK, _AHEAD = 8, 16  # words that are looked at before and behind the head of a statement
_HOLDER = 10  # words before a hand in which what it holds is named
_SINGLE = frozenset(["head", "face", "gaze", "trunk", "back", "chest", "belly", "neck", "lap", "weight"])
_HANDS = frozenset(["hand", "arm", "shoulder"])
_PASSING = ("be", "grade", "filler", "negation", "both")
_LOOKS = frozenset(["look", "face", "lean", "turn", "point"])  # what verbs say of a head or a trunk
_TOUCHES = frozenset(["place", "support"])  # states with an object
_NOUNS_TOO = frozenset(["bend", "tilt", "twist"])  # "a slight bend in the elbow"
_VERBS_TOO = frozenset(["heads", "backs", "faces", "shoulders"])


class LimbReader(PhraseReader):
    """Statements whose subject is a part of a body."""

    def read(self) -> list[BodyStatement]:
        found: list[BodyStatement] = []
        part = ""
        for i, word in enumerate(self.words):
            if "part" in word.senses and not self.used[i]:
                part = word.senses["part"]
            elif not (part and word.form == "one" and self.has(i - 1, "side")):  # "the right one"
                continue
            limb = self._limb(i, part)
            if limb is not None:
                if found:
                    self._share(found[-1], limb)
                found.append(limb)
        return found

    def _share(self, first: BodyStatement, second: BodyStatement) -> None:
        """What is said of "left arm and leg" is said of both, and on the same side."""
        i = second.head
        if (
            not first.features
            and first.head == i - 2
            and second.first == i
            and self.words[i - 1].form == "and"
        ):
            first.features = dict(second.features)
            if second.side == "one":
                second.side = first.side

    def _limb(self, i: int, part: str) -> BodyStatement | None:
        """The statement about the part at a word; None if it is not a person's."""
        form = self.words[i].form
        limb = BodyStatement(part, True, i, i, form)
        sides, marks, is_own = self._before(limb)
        after, owner_sides = self._owner(i + 1)
        if (
            is_own is False
            or after < 0
            or (is_own is None and not marks and not sides and self._is_no_part(limb))
        ):
            return None
        sides = sides or owner_sides
        is_plural = part not in _SINGLE and (form in PLURAL or form.endswith("s"))
        limb.is_counted = "both" in marks or len(sides) == 2
        if len(sides) == 1:
            limb.side = next(iter(sides))
        elif limb.is_counted or (is_plural and "one" not in marks):
            limb.side = "both"
        self._noun_of_state(limb)
        if part in _HANDS:
            self._held_before(limb)
        self._predicate(limb, after)
        for k in (*limb.features.values(), i):
            self.used[k] = 1
        return limb

    def _is_no_part(self, limb: BodyStatement) -> bool:
        """Whether a part that belongs to nobody is another word: heads down the street, leaning back, backs up."""
        i, form = limb.head, limb.form
        if form in ("face", "faces") and limb.first == i and not self.has(i - 1, "relation"):
            return True
        if form in _VERBS_TOO and self.has(i - 1, "person", "pronoun"):
            return True
        before = limb.first - 1
        starts = before < 0 or self.has(before, "stop") or self.words[before].clause != self.words[i].clause
        return form == "back" and limb.first == i and not starts and not self.has(before, "relation")

    def _before(self, limb: BodyStatement) -> tuple[set[str], set[str], bool | None]:
        """Sides and marks (`both`, `one`) before a part, and whose it is: a person's, nobody's or not known (None)."""
        sides: set[str] = set()
        marks: set[str] = set()
        is_own: bool | None = None
        clause, j = self.words[limb.head].clause, limb.head - 1
        while j >= max(0, limb.head - _BACK) and self.words[j].clause == clause and not self.used[j]:
            word, senses = self.words[j], self.words[j].senses
            if "side" in senses:
                sides.add(senses["side"])
            elif word.form == "neither" or "both" in senses or "one" in senses:
                marks.add("one" if "one" in senses else "both")
            elif "possessive" in senses:
                if senses["possessive"] == "'s":
                    is_own, j = self._whose(j - 1)
                else:
                    is_own = word.form not in ("its", "my", "your", "our")
            elif "state" in senses and "relation" not in senses:
                limb.features.setdefault(senses["state"], j)
                if is_own or word.form.endswith(("ing", "s")):
                    limb.first = self._grades(limb, j)
                    break
            elif "grade" in senses and limb.features:
                limb.features.setdefault(senses["grade"], j)
            elif not self._is_inside(j, bool(sides)):
                break
            limb.first = j
            j -= 1
        return sides, marks, is_own

    def _is_inside(self, j: int, has_side: bool) -> bool:
        """Whether a word without meaning for the part belongs to its noun phrase."""
        form = self.words[j].form
        if self.has(j, "grade", "determiner", "filler") or self.is_adverb(j):
            return True
        if form == "of":
            return self.has(j - 1, "both", "one") or (
                j > 0 and self.words[j - 1].form in ("neither", "each", "none")
            )
        if form == "and":
            return has_side and self.has(j - 1, "side")
        return not self.words[j].senses and self.has(j - 1, "possessive", "determiner")  # an adjective

    def _whose(self, j: int) -> tuple[bool, int]:
        """Whether `'s` behind a word is a person's, and the first word of that noun phrase."""
        is_person = self.has(j, "person") or not self.has(j, "animal", "thing")
        while j > 0 and (self.has(j - 1, "determiner") or not self.words[j - 1].senses):
            j -= 1
        return is_person, j

    def _grades(self, limb: BodyStatement, j: int) -> int:
        """Adds the grades before a state; returns the first of them."""
        while j and (self.has(j - 1, "grade") or self.is_adverb(j - 1)):
            j -= 1
            if self.has(j, "grade"):
                limb.features.setdefault(self.words[j].senses["grade"], j)
        return j

    def _noun_of_state(self, limb: BodyStatement) -> None:
        """A noun that says how a part is: "a slight bend in his left elbow"."""
        i = limb.first - 2
        if i >= 0 and self.words[i + 1].form in ("in", "of") and self.words[i].form in _NOUNS_TOO:
            limb.features[self.words[i].senses["state"]] = i
            limb.first = self._grades(limb, i)

    def _owner(self, i: int) -> tuple[int, set[str]]:
        """Behind a part: the word after "of the man", below 0 if it is not a person's; and the sides in it."""
        if i >= len(self.words) or self.words[i].form != "of":
            return i, set()
        sides = set()
        for j in range(i + 1, min(i + 6, len(self.words))):
            senses = self.words[j].senses
            if "side" in senses:
                sides.add(senses["side"])
            elif (
                "part" in senses
                or "pronoun" in senses
                or ("person" in senses and not self.has(j + 1, "person"))
            ):
                self.used[j] |= "part" in senses
                return j + 1, sides
            elif senses and not self.has(j, "determiner", "possessive", "both", "one"):
                break
        return -1, set()

    def _held_before(self, limb: BodyStatement) -> None:
        """What is said to be in the hand before it: "the racket is in his right hand", "a bat over his shoulder"."""
        i = limb.first - 1
        if not self.has(i, "relation"):
            return
        relation = self.words[i].senses["relation"]
        is_place = {
            "hand": relation in ("in", "with"),
            "arm": self.words[i].form in ("under", "beneath"),
            "shoulder": relation in ("at", "near", "above"),
        }
        if not is_place[limb.subject]:
            return
        for j in range(i - 1, max(-1, i - _HOLDER), -1):
            senses = self.words[j].senses
            if self.words[j].clause != self.words[i].clause or ("part" in senses and "thing" not in senses):
                return
            if "thing" not in senses or self.used[j]:
                continue
            verbs = [
                k for k in range(max(0, j - 6), i) if k != j and self.has(k, "hold") and not self.used[k]
            ]
            if (relation == "with" and not verbs) or (limb.subject == "shoulder" and verbs):
                return
            for k in (j, *verbs):
                self.used[k] = 1
            feature = "hold " + senses["thing"]
            limb.features[feature], limb.things[feature], limb.first = limb.head, senses["thing"], j
            return

    def _predicate(self, limb: BodyStatement, i: int) -> None:
        """Adds what is said behind a part."""
        words, clause, end = self.words, self.words[limb.head].clause, min(len(self.words), i + _AHEAD)
        while i < end and words[i].clause == clause and not self.used[i]:
            after = self._said_at(limb, i)
            if after <= i:
                return
            i = after

    def _said_at(self, limb: BodyStatement, i: int) -> int:
        """Adds what a word says of a part; returns the next word to read, i if the predicate ends."""
        word, senses = self.words[i], self.words[i].senses
        if self.has(i, "relation", "direction"):
            return self.complement(limb, i)
        if "state" in senses:
            if self._is_of_next(i):
                return i
            limb.features.setdefault(senses["state"], i)
            return i + 1
        if "hold" in senses and limb.subject in _HANDS:
            held = self.thing(i + 1)
            if held is not None:
                self.used[i] = self.used[held.after - 1] = 1
                limb.add("hold " + held.thing, held)
                return i
            return i + 1
        if senses.get("verb") in _LOOKS and limb.subject in _SINGLE:
            limb.features.setdefault(senses["verb"], i)
            return i + 1
        if self.has(i, *_PASSING) or word.form in ("it", "them") or self.is_adverb(i):
            if "grade" in senses:
                limb.features.setdefault(senses["grade"], i)
            return i + 1
        if "relative" in senses and self.has(i + 1, "be"):
            return i + 2
        if self.has(i, "conjunction", "stop") and self._goes_on(i + 1, self._is_moved(limb)):
            return i + 1
        if touch := _TOUCHES & limb.features.keys():
            found = self.noun_phrase(i)
            if found is not None and found.noun:  # touches her face
                limb.add(f"{'support' if 'support' in touch else 'at'} {found.noun}", found)
                return found.after
        return i

    def _is_of_next(self, i: int, is_new: bool = False) -> bool:
        """Whether a state belongs to the part behind it, as in "and crossed arms".

        is_new: Of something new, as in ", keeping his leg straight", and not an object, as in "touching his leg".
        """
        j = i + 1
        while self.has(j, "possessive", "side", "both"):
            j += 1
        is_near = self.has(j, "part") and self.words[j].clause == self.words[i].clause
        return is_near and (is_new or self.words[i].senses["state"] != "place")

    def _is_moved(self, limb: BodyStatement) -> bool:
        """Whether somebody does it to the part, as in "bends an arm"."""
        return limb.first < limb.head and "state" in self.words[limb.first].senses

    def _goes_on(self, i: int, is_moved: bool) -> bool:
        """Whether a predicate goes on after "and" or a comma; of what is moved, what the person does next is not."""
        if is_moved and i < len(self.words) and self.words[i].form.endswith("ing"):
            return False
        while self.has(i, "be", "grade", "negation", "filler") or (i < len(self.words) and self.is_adverb(i)):
            i += 1
        if self.has(i, "relative"):
            return self.has(i + 1, "be")
        if (
            i + 1 < len(self.words)
            and self.words[i].form in _NOUNS_TOO
            and self.words[i + 1].form in ("in", "of")
        ):
            return False  # a bend in another part
        return self.has(i, "direction") or (self.has(i, "state") and not self._is_of_next(i, is_new=True))
