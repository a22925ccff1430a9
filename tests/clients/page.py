"""docs/clients.md: the matrix as a page."""

from tests.clients.features import FEATURES
from tests.clients.matrix import CLIENTS, Client

Outcomes = dict[tuple[Client, str], bool]

HEAD = """# Clients

Other people's clients, unchanged, on one server. Each is installed from its registry in an environment of its own
(`tests/clients`), and each cell is a short program that uses it as its documentation shows, on a real server; only the
language model behind that is scripted. This page is made by `make test-clients`, from that run.

✓ works · ✗ fails · – not offered by the client: see the note. Of frameworks, what their documentation shows is tried.

"""


def page(outcomes: Outcomes) -> str:
    """The page of these outcomes."""
    head = f"| client | version | {' | '.join(f'`{name}`' for name in FEATURES)} |\n"
    rule = f"|---|---|{':-:|' * len(FEATURES)}\n"
    legend = "".join(f"| `{name}` | {feature.about} |\n" for name, feature in FEATURES.items())
    said: dict[str, list[str]] = {}
    for client in CLIENTS:
        if client.note:
            said.setdefault(client.note, []).append(f"{client}")
    notes = "".join(f"- **{'; '.join(names)}**: {note}\n" for note, names in said.items())
    return (
        f"{HEAD}{head}{rule}{''.join(_row(client, outcomes) for client in CLIENTS)}"
        f"\n## What is tried\n\n| | |\n|---|---|\n{legend}" + (f"\n## Notes\n\n{notes}" if notes else "")
    )


def _row(client: Client, outcomes: Outcomes) -> str:
    marks = {None: "–", True: "✓", False: "✗"}
    cells = " | ".join(marks[outcomes.get((client, feature))] for feature in FEATURES)
    return f"| {client.name} | {client.version} | {cells} |\n"
