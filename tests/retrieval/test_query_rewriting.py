import pytest

from understudy.query_rewriting import rewritten


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Hi, could you please tell me what the warp of a loom is?", "what the warp of a loom is"),
        ("  What   is the\n warp? ", "the warp"),
        ("I'd like to know how to thread a heddle, please.", "how to thread a heddle"),
        ("please show me the refund policy for damaged goods thanks!", "the refund policy for damaged goods"),
        ("How do I reset the device?", "reset the device"),
        ("Who invented the punched card", "Who invented the punched card"),
        ("refund policy", "refund policy"),
        ("what is?", "what is?"),
        ("Please?", "Please?"),
        ("???", "???"),
    ],
)
def test_what_only_asks_is_left_out(query: str, expected: str) -> None:
    assert rewritten(query) == expected
    assert rewritten(rewritten(query)) == rewritten(query)
