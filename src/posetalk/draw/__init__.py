"""Poses drawn on images, with numpy and Pillow alone."""

from posetalk.draw.names import font
from posetalk.draw.pose import draw_pair, draw_pose

__all__ = ["draw_pair", "draw_pose", "font"]
