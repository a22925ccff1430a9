"""Scripts: what a model is to say and call, written down beforehand."""
