"""Writes the pages that are made from the code: `make docs`. With `--check`, says which are not what they should be."""

import sys
from dataclasses import fields
from pathlib import Path

from docs.coverage_page import coverage_page
from docs.scripts_page import scripts_page

from understudy.configuration import flag, shown_default
from understudy.script.schema import schema_text
from understudy.settings import KNOWN_UPSTREAMS, Settings

HEAD = """# Settings

Each is a flag of `understudy serve`, a variable, and a key of the YAML file that `--config FILE` (or
`UNDERSTUDY_CONFIG`) names; a flag wins over a variable, a variable over the file. What may be given several times is
separated by commas in a variable and a list in the file (`models`: a mapping). This page is made by `make docs`.

```yaml
upstream: ollama
models: {gpt-4o: llama3.1, "gpt-4*": qwen3}     # UNDERSTUDY_MODELS='gpt-4o=llama3.1,gpt-4*=qwen3'
api-key: [sk-mine, sk-yours]                    # UNDERSTUDY_API_KEY=sk-mine,sk-yours
sandbox-timeout: 120
```

| flag | variable | default | what it is |
|---|---|---|---|
"""


def settings_page() -> str:
    """docs/settings.md."""
    rows = []
    for one in fields(Settings):
        default = "" if one.default in (None, ()) else f"`{shown_default(one)}`"
        several = " (may be given several times)" if one.metadata["many"] else ""
        rows.append(
            f"| `--{flag(one.name)}` | `UNDERSTUDY_{one.name.upper()}` | {default} | {one.metadata['about']}{several} |"
        )
    names = "\n".join(f"| `{name}` | `{url}` |" for name, url in KNOWN_UPSTREAMS.items())
    return HEAD + "\n".join(rows) + f"\n\nNames that `--upstream` knows:\n\n| name | base URL |\n|---|---|\n{names}\n"


PAGES = {
    "settings.md": settings_page,
    "coverage.md": coverage_page,
    "scripts.md": scripts_page,
    "script.schema.json": schema_text,
}
FOLDER = Path(__file__).parent


def main(*, check: bool) -> None:
    """Write the pages, or exit with 1 where one is out of date."""
    made = {FOLDER / name: page() for name, page in PAGES.items()}
    if check:
        if stale := [path.name for path, text in made.items() if not path.exists() or path.read_text() != text]:
            sys.exit(f"docs: {', '.join(stale)} must be made again: make docs")
        return
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    main(check="--check" in sys.argv)
