"""Drawing poses on images, with numpy and Pillow only."""

from posetalk.draw.names import font
from posetalk.draw.pose import draw_pair, draw_pose

__all__ = ["draw_pair", "draw_pose", "font"]
