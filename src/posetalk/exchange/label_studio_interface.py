"""Label Studio's labelling interface: which tags of its XML are for people and keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from xml.etree import ElementTree

from posetalk.errors import PosetalkError

HIDDEN = "hidden"  # the choice of a keypoint that is there but not seen


@dataclass(frozen=True, slots=True)
class Interface:
    """The tags that an answer names. The defaults are those that `label_studio.write` writes.

    image:      The name of the image's tag.
    data:       The key of a task's data that holds the image.
    keypoints:  The name of the keypoints' tag.
    labels:     The keypoints' labels, in order, each with its hint, which may be empty.
    boxes:      The name of the rectangles' tag; None where there is none.
    person:     The label of a person's rectangle.
    visibility: The name of the choices that have `hidden` for a region; None where there are none.
    """

    image: str = "image"
    data: str = "image"
    keypoints: str = "keypoint"
    labels: tuple[tuple[str, str], ...] = ()
    boxes: str | None = "box"
    person: str = "person"
    visibility: str | None = "visibility"

    @classmethod
    def read(cls, xml: str) -> Self:
        """The interface of a project.

        Raises:
            PosetalkError: it is not XML; it has no image, or no KeyPointLabels with labels for it.
        """
        try:
            if "<!" in xml.replace("<!--", ""):  # definitions, which may grow without end
                raise ElementTree.ParseError("it has definitions")
            root = ElementTree.fromstring(xml)
        except ElementTree.ParseError as error:
            raise PosetalkError(f"the labelling interface is not XML: {error}") from None
        images = {tag.get("name"): tag.get("value", "") for tag in root.iter("Image")}
        for tag in root.iter("KeyPointLabels"):
            image, name = tag.get("toName"), tag.get("name")
            labels = tuple(
                (value, label.get("hint", "")) for label in tag.iter("Label") if (value := label.get("value"))
            )
            if name and labels and image in images:
                break
        else:
            raise PosetalkError(
                "the labelling interface has no KeyPointLabels of an Image; give it one, with labels such as "
                "'left heel: the back of the left foot'"
            )
        boxes = next((tag for tag in root.iter("RectangleLabels") if tag.get("toName") == image), None)
        of_boxes = [] if boxes is None else [label.get("value", "") for label in boxes.iter("Label")]
        choices = next(
            (
                tag.get("name")
                for tag in root.iter("Choices")
                if tag.get("toName") == image
                and tag.get("perRegion") == "true"
                and HIDDEN in {choice.get("value") for choice in tag.iter("Choice")}
            ),
            None,
        )
        person = next((one for one in of_boxes if one.lower() == "person"), (of_boxes or [""])[0])
        is_with_boxes = boxes is not None and bool(person)
        return cls(
            str(image),
            images[image].removeprefix("$"),
            name,
            labels,
            boxes.get("name") if boxes is not None and is_with_boxes else None,
            person or "person",
            choices,
        )
