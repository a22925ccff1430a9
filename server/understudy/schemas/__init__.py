"""Wire objects, one file per resource, named as in the official SDK's types."""
