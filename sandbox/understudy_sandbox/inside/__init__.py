"""What runs inside a wall, before any code of the model: standard library only, no import of the package."""
