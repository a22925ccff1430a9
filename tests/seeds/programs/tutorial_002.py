# The programs of a published tutorial, as found: assistants_basic.py, file_handling.py, the run of the first again.
# Left out: the vector store at the end of file_handling.py, which is file search.
# ruff: noqa
# fmt: off
# mypy: ignore-errors

# assistants_basic.py
from openai import OpenAI

client = OpenAI()

# Create an assistant
assistant = client.beta.assistants.create(
    name="Data Analyst",
    instructions="You are a data analyst. Analyze data and create visualizations.",
    model="gpt-4-turbo",
    tools=[
        {"type": "code_interpreter"},
        {"type": "file_search"},
    ],
)

# Create a thread
thread = client.beta.threads.create()

# Add a message
client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="Analyze this CSV and create a chart of sales by month",
)

# Create a run
run = client.beta.threads.runs.create_and_poll(
    thread_id=thread.id,
    assistant_id=assistant.id,
)

# Get the response
if run.status == "completed":
    messages = client.beta.threads.messages.list(thread_id=thread.id)
    for msg in messages.data:
        if msg.role == "assistant":
            print(msg.content[0].text.value)

# file_handling.py
# Upload a file for code interpreter
file = client.files.create(
    file=open("sales_data.csv", "rb"),
    purpose="assistants",
)

# Attach file to message
client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="Analyze this sales data",
    attachments=[{
        "file_id": file.id,
        "tools": [{"type": "code_interpreter"}],
    }],
)

# The run of assistants_basic.py again, now that there is a file
# Create a run
run = client.beta.threads.runs.create_and_poll(
    thread_id=thread.id,
    assistant_id=assistant.id,
)

# Get the response
if run.status == "completed":
    messages = client.beta.threads.messages.list(thread_id=thread.id)
    for msg in messages.data:
        if msg.role == "assistant":
            print(msg.content[0].text.value)
