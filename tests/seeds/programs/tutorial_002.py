# The programs of a published tutorial, as found: assistants_basic.py, file_handling.py, the run of the first again.
# Edited: official clients since 1.66 have client.beta.vector_stores at client.vector_stores.
# Added: what became of the file in the vector store, at the end.
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

# Create vector store for file search
if not hasattr(client.beta, "vector_stores"):
    client.beta.vector_stores = client.vector_stores
vector_store = client.beta.vector_stores.create(name="knowledge_base")
client.beta.vector_stores.files.create(
    vector_store_id=vector_store.id,
    file_id=file.id,
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

# What the tutorial does not look at: the API takes no CSV for file search
print(client.beta.vector_stores.files.poll(file.id, vector_store_id=vector_store.id).last_error.code)
