"""The JSON that callers send and get. Coordinates are x, y in pixels of the upright image, origin top left."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveInt

BoxList = Annotated[
    list[FiniteFloat], Field(min_length=4, max_length=4, description="x, y, width, height px")
]
Place = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2, description="x, y px")]
Places = Annotated[list[Place], Field(min_length=1, max_length=1_000)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Score = Annotated[float, Field(ge=0, le=1)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeatMapOf(_Asked):
    """Whose heat map is asked for: the person of that index in the answer, the keypoint of that index."""

    person: NonNegativeInt
    keypoint: NonNegativeInt


class WhoRequest(_Asked):
    """Where the people of an image are."""

    boxes: list[BoxList] | None = Field(None, description="The people, instead of a detector.")
    whole_image: bool = Field(
        False, description="Look for one person in the whole image, without a detector."
    )
    min_score: Score | None = Field(None, description="The lowest score of a person who is found.")
    max_people: PositiveInt | None = Field(None, description="At most so many people, the surest.")


class LocateRequest(WhoRequest):
    """What to look for in an image, and where its people are."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"ask": ["left heel: the back of the left foot"], "max_people": 5}}
    )
    ask: list[Sentence] = Field(
        [], description="Keypoints as `name: description`, or a name alone.", max_length=1_000
    )
    skeleton: str | None = Field(
        None, description="A built-in skeleton, see /v1/skeletons; coco17 where nothing is asked."
    )
    heatmap: HeatMapOf | None = None


class WithImage(_Asked):
    """A request in JSON with its image."""

    image: str | None = Field(None, description="The image's file in base64.")
    url: str | None = Field(None, description="Where the image is; only of hosts that the server allows.")


class LocateJson(LocateRequest, WithImage):
    """As LocateRequest, with the image itself."""


class KeypointAnswer(BaseModel):
    """A keypoint of a person."""

    name: str
    x: float
    y: float
    score: float
    visible: bool | None = Field(description="null where the model does not say.")
    std: list[float] | None = Field(description="Standard deviation along x and y, px.")
    known: bool | None = Field(
        description="Whether the model was trained on a keypoint of this name. Others go by the words."
    )


class PersonAnswer(BaseModel):
    """A person in the image."""

    box: BoxList
    score: float | None = Field(description="Of the detector; null for boxes that were given.")
    keypoints: list[KeypointAnswer]


class HeatMapAnswer(BaseModel):
    """How probable each cell of a square of the image is; the square may reach beyond the image."""

    x: float = Field(description="Left edge, px of the image.")
    y: float
    width: float
    height: float
    rows: int
    columns: int
    values: list[float] = Field(description="rows * columns probabilities, row by row from the top.")


class LocateAnswer(BaseModel):
    """The people of an image."""

    width: int
    height: int
    model: str
    people: list[PersonAnswer]
    limbs: list[list[int]] = Field(description="Pairs of keypoints, by index, to join by lines.")
    seconds: float = Field(description="How long the answer took, waiting included.")
    heatmap: HeatMapAnswer | None = None


class KeypointGiven(BaseModel):
    """A keypoint as LocateAnswer has it; more keys are ignored."""

    name: Sentence
    x: FiniteFloat
    y: FiniteFloat
    score: FiniteFloat | None = Field(None, description="Facts take a place below 0.5 as not known.")
    visible: bool | None = None


class PersonGiven(BaseModel):
    """A person as LocateAnswer has it; more keys are ignored. For facts, keypoints of COCO's names count."""

    box: BoxList
    score: float | None = None
    keypoints: list[KeypointGiven] = Field(max_length=1_000)


class ObjectGiven(BaseModel):
    """An object beside the people."""

    name: Sentence = Field(description="COCO's name of the category, such as `bicycle`.")
    box: BoxList


class LocatedGiven(_Asked):
    """The people of an image, as LocateAnswer has them."""

    width: PositiveInt
    height: PositiveInt
    people: list[PersonGiven]
    captions: list[Text] = Field([], max_length=20)


class PeopleGiven(LocatedGiven):
    """The people of an image, and the objects beside them."""

    objects: list[ObjectGiven] = Field([], max_length=200)


class AskRequest(PeopleGiven):
    """A question, or a statement to check."""

    person: NonNegativeInt | None = Field(None, description="Index of the person whom it is about.")
    question: Text | None = None
    statement: Text | None = None


class WriteRequest(PeopleGiven):
    """What is to be written."""

    kind: Literal["conversation", "detail", "reasoning", "short"] = "conversation"
    seed: int = 0


class DescribeRequest(WhoRequest):
    """The places of an image to describe, and where its people are."""

    model_config = ConfigDict(json_schema_extra={"example": {"at": [[210, 340]]}})
    at: Places
    captions: list[Text] = Field([], max_length=20)


class DescribeJson(DescribeRequest, WithImage):
    """As DescribeRequest, with the image itself."""


class DescribeLocated(LocatedGiven):
    """The places of an image to describe, whose people are located already."""

    at: Places


class PlaceAnswer(BaseModel):
    """A place in words, as `posetalk.PointDescription` explains them."""

    x: float
    y: float
    person: int | None = Field(description="Index of the person whose body it is on; null for nobody.")
    part: str | None = Field(description="`forearm`; null on nobody, or where it cannot be told.")
    side: Literal["left", "right"] | None = Field(description="The person's own; null for the middle.")
    name: str = Field(description="`left forearm`, `not on a person`.")
    phrase: str = Field(description="`the outer side of his left forearm`.")
    sentence: str = Field(description="The phrase, and where on the part.")
    full: str = Field(description="The sentence with the person's name.")
    evidence: dict[str, Any] = Field(description="`keypoints` with scores, `facing`, `cost`, and `or`.")
    certain: bool


class PlacesAnswer(BaseModel):
    """The places, in the order of the request."""

    places: list[PlaceAnswer]


class DescribeAnswer(PlacesAnswer):
    """The places, and the people with the keypoints that the words rest on."""

    width: int
    height: int
    people: list[PersonAnswer]
    seconds: float = Field(description="How long the answer took, waiting included.")


class FactAnswer(BaseModel):
    """A statement that is true, false or not known."""

    name: str = Field(description="Part and predicate, such as `left arm: raised`.")
    value: bool | None
    text: str
    evidence: list[str] = Field(description="What it rests on: `joints`, `captions 3 of 5`, an object.")
    numbers: dict[str, float] = Field(description="Degrees for angles, trunk lengths for all others.")


class PersonFacts(BaseModel):
    """What is true of a person."""

    name: str | None = Field(description="`person 1`, counted from the left; null without known keypoints.")
    facts: list[FactAnswer]


class FactsAnswer(BaseModel):
    """What is true of the people, in the order in which they were given, and of the scene."""

    people: list[PersonFacts]
    scene: list[FactAnswer]


class AskAnswer(BaseModel):
    """An answer, and the facts behind it."""

    answer: str = Field(description="`yes`, `no`, `not known`, or a few words.")
    because: list[FactAnswer]
    reason: str | None = Field(None, description="Why it is not known, where it is not.")


class Turn(BaseModel):
    """What one of the two says."""

    role: Literal["user", "assistant"]
    text: str


class WriteAnswer(BaseModel):
    """What was written; empty where too little is known of the people."""

    turns: list[Turn]


class SkeletonAnswer(BaseModel):
    """A built-in set of keypoints."""

    name: str
    keypoints: list[dict[str, str]]
    limbs: list[list[int]]


class WordsAnswer(BaseModel):
    """What the model was trained on, to suggest it."""

    keypoints: list[str]
    synonyms: list[str]


class Problem(BaseModel):
    """RFC 9457's problem details: `detail` is one sentence that says what is wrong, where, and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


Json = dict[str, Any]
