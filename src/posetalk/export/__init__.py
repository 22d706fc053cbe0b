"""Sentences compiled into a pose network: one ONNX file that needs neither posetalk nor torch."""
