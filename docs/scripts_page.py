"""docs/scripts.md: what a script may say, from the grammar that reads it."""

from pydantic import BaseModel

from understudy.script.grammar import CannedCode, Chunk, Failure, If, Rule, ScriptFile, Turn, TurnUsage, When, describe

HEAD = """# Scripts

A script says what the model does; threads, runs, the code interpreter and file search stay real. `understudy serve
--script FILE` plays one, YAML or JSON. This page is made by `make docs`.

```yaml
# yaml-language-server: $schema=script.schema.json
version: 1
rules:
  - when: {user: hello}
    reply: "Hi ${user.words.1|there}! How can I help?"
  - when: {user: '/weather in (?P<city>\\w+)/', tools: [get_weather]}
    turns:
      - call: {get_weather: {city: "${city}", unit: c}}      # several keys: parallel calls
      - if: {output: {get_weather: /error/}}
        reply: "Sorry, no data for ${city}."
      - reply: "It is ${get_weather.temp} degrees in ${city}."
  - when: {user: plot, tools: [code_interpreter]}
    turns:
      - python: |
          import matplotlib.pyplot as plt
          plt.plot([1, 2, 3]); plt.show(); print('mean', 2)
      - reply: "Here is the plot; ${logs}."
  - {when: {user: flaky}, times: 2, fail: rate_limit_exceeded}
```

The **first rule that matches** is chosen when a run begins and stays its rule, also over a restart. Each model call
of the run takes the next turn; a turn whose `if` does not hold is passed over. A run that no rule matches fails, and
its `last_error` says of every rule why not; so does a run that goes on after its rule's last turn.

**Plain text** is looked for in what people and tools say, whatever its case; of names (assistant, model, metadata) it
has to be the whole. **`/…/`** is a regular expression of Python's, searched for, with the flags `i`, `m`, `s`, `x`
after it; its groups become variables.

**Variables** stand in replies, calls, code, queries and messages of failures. A value that is nothing but a variable
keeps its type; a text that the user wrote becomes the number or truth value that the function's parameters ask for.

| variable | what it is |
|---|---|
| `${city}`, `${1}` | a group of the rule's regular expressions, or of the turn's `if` |
| `${user}`, `${user.words.1}`, `${user.lines.0}` | the last user message, its words and lines, counted from 0 |
| `${get_weather}`, `${get_weather.days.0.high}` | a function's last output, and what is in it if it is JSON |
| `${outputs.0}` | the outputs of all the run's calls, in their order |
| `${logs}` | what the last code has printed |
| `${results}`, `${results.0.text}`, `.file`, `.mark` | what the last search found; repeat the mark to cite |
| `${assistant.name}`, `${assistant.id}`, `${model}`, `${metadata.key}` | what the run is made of |
| `${name\\|default}` | the default for what is not there or empty |
| `$${` | a plain `${` |

`POST /v1/chat/completions` follows the script too: the messages since the last user message say which turn is next.
There is no run in it, so `times` counts the first call of each such conversation.

`understudy check FILE` finds errors, rules and turns that are never reached, with their lines; it exits with 1 for
errors and warnings. [script.schema.json](script.schema.json) serves editors. `understudy script from-thread ID` reads
what happened in a thread from a running server and writes the script that makes it happen again; with `--canned`,
code is not run again but shows the outputs that it had. What was searched for is not on record there: the user's
words stand in its place.
"""
PARTS: tuple[tuple[str, type[BaseModel], type[BaseModel] | None], ...] = (
    ("A script", ScriptFile, None),
    ("A rule: these, and what a turn has if it is the only one", Rule, Turn),
    ("`when`, all of which has to hold", When, None),
    ("A turn: text first, then calls, then it may fail", Turn, None),
    ("`if`: what `when` has, and", If, When),
    ("`python` as a mapping", CannedCode, None),
    ("`fail` as a mapping", Failure, None),
    ("`chunk` as a mapping", Chunk, None),
    ("`usage`", TurnUsage, None),
)


def scripts_page() -> str:
    """The page."""
    describe()
    return "\n".join([HEAD, *(_table(title, part, base) for title, part, base in PARTS)])


def _table(title: str, part: type[BaseModel], base: type[BaseModel] | None) -> str:
    rows = [f"## {title}", "", "| key | what it is |", "|---|---|"]
    for name, field in part.model_fields.items():
        if base is None or name not in base.model_fields:
            about = " ".join((field.description or "").split()).replace("|", "\\|")
            rows.append(f"| `{field.alias or name}` | {about} |")
    return "\n".join([*rows, ""])
