# The snippets of a published tutorial, in their order, as found.
# Edited: official clients since 1.66 have client.beta.vector_stores at client.vector_stores.
# Added where the tutorial only says so: the function (dispatch_function and its declaration), the thread that uses it,
# and the thread with a CSV.
# ruff: noqa
# fmt: off
# mypy: ignore-errors

# Setup: Creating an Assistant
from openai import OpenAI

client = OpenAI()

assistant = client.beta.assistants.create(
    name="Document Analyst",
    instructions=(
        "You analyze uploaded documents and answer questions about their content. "
        "Always cite the specific section of the document that supports your answer. "
        "If the document does not contain the answer, say so explicitly."
    ),
    model="gpt-4o",
    tools=[{"type": "file_search"}]
)

assistant_id = assistant.id  # Store this — reuse the assistant, don't recreate

# File Search: Document Q&A
if not hasattr(client.beta, "vector_stores"):
    client.beta.vector_stores = client.vector_stores

# Create a vector store
vector_store = client.beta.vector_stores.create(name="Company Docs")

# Upload files to the vector store
with open("q4_report.pdf", "rb") as f:
    client.beta.vector_stores.file_batches.upload_and_poll(
        vector_store_id=vector_store.id,
        files=[f]
    )

# Attach vector store to the assistant
client.beta.assistants.update(
    assistant.id,
    tool_resources={"file_search": {"vector_store_ids": [vector_store.id]}}
)

# Running a Conversation
# Create a thread for this user session
thread = client.beta.threads.create()

# Add the user's message
client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="What were the key risk factors mentioned in the Q4 report?"
)

# Run the assistant against the thread
run = client.beta.threads.runs.create_and_poll(
    thread_id=thread.id,
    assistant_id=assistant.id
)

# Get the response when complete
if run.status == "completed":
    messages = client.beta.threads.messages.list(thread_id=thread.id)
    latest = messages.data[0]  # most recent message
    print(latest.content[0].text.value)

# Handling requires_action (Function Calling)
# "If you include function tools on your Assistant and the model decides to call one": added
import json

def dispatch_function(name, arguments):
    return {"function": name, "arguments": arguments, "answer": "supply chain, exchange rates"}

client.beta.assistants.update(
    assistant.id,
    tools=[{"type": "function", "function": {
        "name": "risk_factors",
        "description": "The risk factors that a quarterly report mentions.",
        "parameters": {"type": "object", "properties": {"quarter": {"type": "string", "enum": ["Q3", "Q4"]}}, "required": ["quarter"]},
    }}]
)

# The conversation from above again
thread = client.beta.threads.create()

client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="What were the key risk factors mentioned in the Q4 report?"
)

run = client.beta.threads.runs.create_and_poll(
    thread_id=thread.id,
    assistant_id=assistant.id
)

# As found from here
if run.status == "requires_action":
    tool_outputs = []
    for tool_call in run.required_action.submit_tool_outputs.tool_calls:
        result = dispatch_function(
            tool_call.function.name,
            json.loads(tool_call.function.arguments)
        )
        tool_outputs.append({
            "tool_call_id": tool_call.id,
            "output": json.dumps(result)
        })

    # Resume the run with tool results
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        thread_id=thread.id,
        run_id=run.id,
        tool_outputs=tool_outputs
    )

# Get the response when complete
if run.status == "completed":
    messages = client.beta.threads.messages.list(thread_id=thread.id)
    latest = messages.data[0]  # most recent message
    print(latest.content[0].text.value)

# Code Interpreter
assistant = client.beta.assistants.create(
    name="Data Analyst",
    instructions="Analyze the uploaded CSV and answer questions about the data. Generate charts when helpful.",
    model="gpt-4o",
    tools=[{"type": "code_interpreter"}]
)

# "Attach a CSV file to the Thread message and ask the model to analyze it": added
file = client.files.create(file=open("sales_data.csv", "rb"), purpose="assistants")
thread = client.beta.threads.create()
client.beta.threads.messages.create(
    thread_id=thread.id,
    role="user",
    content="Which months were best and worst? Show a chart.",
    attachments=[{"file_id": file.id, "tools": [{"type": "code_interpreter"}]}],
)
run = client.beta.threads.runs.create_and_poll(
    thread_id=thread.id,
    assistant_id=assistant.id
)

# "It will write pandas code, execute it, and return both the code and the results"
steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
for step in steps.data:
    if step.type == "tool_calls":
        print(step.step_details.tool_calls[0].code_interpreter.input)

# "Charts are returned as file references in the response"
for block in client.beta.threads.messages.list(thread_id=thread.id).data[0].content:
    if block.type == "image_file":
        client.files.content(block.image_file.file_id).write_to_file("chart.png")
    else:
        print(block.text.value)
