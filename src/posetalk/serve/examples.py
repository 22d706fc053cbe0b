"""Requests that the description of the interface (OpenAPI) shows. Each gets an answer as it is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from posetalk.serve.bodies import DescribeJson, DescribeRequest, Json, LocateJson, LocateRequest
from posetalk.skeleton import load_skeleton

# Somebody who stands and has the left arm raised; x, y in the order of coco17.
_PLACES = [
    (200, 60), (210, 50), (190, 50), (220, 55), (180, 55), (240, 120), (160, 120), (266, 75), (155, 190), (268, 22),
    (152, 255), (225, 270), (175, 270), (228, 370), (172, 370), (230, 470), (170, 470),
]  # fmt: skip
_PERSON = {
    "box": [55, 20, 290, 470],
    "keypoints": [
        {"name": name, "x": x, "y": y, "score": 0.9, "visible": True}
        for name, (x, y) in zip(load_skeleton("coco17").names, _PLACES, strict=True)
    ],
}
PEOPLE: Json = {"width": 400, "height": 500, "people": [_PERSON]}
QUESTION: Json = PEOPLE | {"person": 0, "question": "Is the left arm raised?"}
WRITING: Json = PEOPLE | {"kind": "conversation"}
# A grey image of 8 x 8 pixels, in which nobody is.
_GREY = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR42mNogAIGyhgAgIQgARDoahcAAAAASUVORK5CYII="
IMAGE: Json = {"image": _GREY, "ask": ["left heel: the back of the left foot"]}
PLACES: Json = {"image": _GREY, "at": [[4, 4]]}
DESCRIPTION: Json = PEOPLE | {"at": [[250, 100], [5, 5]]}


def example(value: Json) -> dict[str, Any]:
    """As FastAPI takes the examples of a body."""
    return {"example": {"value": value}}


def image_body(form_model: type[BaseModel], json_model: type[BaseModel], shown: Json) -> Json:
    """The two bodies, form and JSON, of an address that takes an image and reads them itself."""
    template = "#/components/schemas/{model}"
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string", "contentMediaType": "application/octet-stream"},
            "request": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": template.format(model=form_model.__name__)},
            },
        },
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            "application/json": {
                "schema": {"$ref": template.format(model=json_model.__name__)},
                "examples": example(shown),
            },
        },
    }


def add_schemas(described: Json) -> Json:
    """The description with the schemas that `image_body` names."""
    schemas = described["components"]["schemas"]
    for model in (LocateRequest, LocateJson, DescribeRequest, DescribeJson):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return described
