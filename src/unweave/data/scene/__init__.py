"""The scene of 3D Shapes, drawn without a file: room, texture, objects, and how samples become pixels."""
