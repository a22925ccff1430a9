"""What the sandbox raises."""


class SandboxUnavailable(Exception):  # noqa: N818 - the name says what the model's user reads
    """No interpreter can be had; the text is one sentence that names the remedy."""
