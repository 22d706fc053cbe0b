"""Keypoints of people in a photo, from a file that `posetalk export-onnx` wrote. Needs onnxruntime, numpy and Pillow.

python pose.py feet.onnx photo.jpg 10,20,100,200 [more boxes as left,top,width,height in px]
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession(sys.argv[1])
about = network.get_modelmeta().custom_metadata_map
names = [point["name"] for point in json.loads(about["keypoints"])]
rule = json.loads(about["crop"])
size = rule["size"]
photo = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("RGB")
for box in sys.argv[3:]:
    left, top, width, height = map(float, box.split(","))
    side = rule["padding"] * max(width, height)  # of the square that is cut out
    scale = side / size  # px of the photo in one px of the crop
    corner = np.array([left + width / 2, top + height / 2]) - side / 2
    x, y = corner + (1 - scale) / 2  # Pillow's pixel centres lie at halves, the network's at whole numbers
    crop = photo.transform(
        (size, size), Image.Transform.AFFINE, (scale, 0, x, 0, scale, y), Image.Resampling.BILINEAR
    )
    given = {
        "image": np.asarray(crop)[None],
        "box": np.array([[width, height]], np.float32) / np.float32(scale),
    }
    xy, score, std, visible = network.run(["xy", "score", "std", "visible"], given)
    for name, (px, py), sure, seen in zip(names, xy[0] * scale + corner, score[0], visible[0], strict=True):
        print(f"{name}\t{px:.1f}\t{py:.1f}\tscore {sure:.2f}\t{'visible' if seen > 0.5 else 'hidden'}")
