// The official Node client, from 4.46 on; the last line that it prints is what it saw.
import { createReadStream } from 'node:fs';
import { pathToFileURL } from 'node:url';
import OpenAI from 'openai';
import { VERSION } from 'openai/version';

const MODEL = process.env.UNDERSTUDY_MODEL;
const WEATHER = { Ghent: '21 degrees, sunny', Oslo: '12 degrees, rain' };
const GET_WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const FAST = { pollIntervalMs: 50 };

// 4.46 lost all but the first delta of the calls of a step.
const PUTS_CALLS_TOGETHER = !VERSION.startsWith('4.46.');

// Since 5.0 the ids of the path, but for the last one, are named.
const named = (client) => !('del' in client.beta.assistants);
const inThread = (client, method, thread_id, run_id, ...rest) =>
  named(client) ? method(run_id, { thread_id, ...rest[0] }, ...rest.slice(1)) : method(thread_id, run_id, ...rest);

const vectorStores = (client) => client.vectorStores ?? client.beta.vectorStores;

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}

// An assistant, and a thread with a question for it.
async function ask(client, question, tools = [], settings = {}) {
  const assistant = await client.beta.assistants.create({
    name: 'Helper',
    instructions: 'You help.',
    model: MODEL,
    tools,
    ...settings,
  });
  const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: question }] });
  return { thread: thread.id, assistant_id: assistant.id };
}

const poll = (client, { thread, ...body }) => client.beta.threads.runs.createAndPoll(thread, body, FAST);

// A run's stream, and what its deltas bring.
function listen(events) {
  const seen = { text: '', logs: '', calls: 0, texts: [], messages: [], steps: {}, stepsDone: {} };
  events
    .on('textDelta', (delta) => (seen.text += delta.value ?? ''))
    .on('textDone', (text) => seen.texts.push(text.value))
    .on('messageDone', (message) => seen.messages.push(structuredClone(message)))
    .on('toolCallCreated', () => (seen.calls += 1))
    .on('toolCallDelta', (delta) => {
      for (const output of delta.code_interpreter?.outputs ?? []) seen.logs += output.logs ?? '';
    })
    .on('runStepDelta', (_delta, snapshot) => (seen.steps[snapshot.id] = structuredClone(snapshot.step_details)))
    .on('runStepDone', (step) => (seen.stepsDone[step.id] = structuredClone(step)));
  return { events, seen };
}

async function stream(client, { thread, ...body }) {
  const heard = listen(client.beta.threads.runs.stream(thread, body));
  heard.run = await heard.events.finalRun();
  return heard;
}

// Call the functions that a run waits for, and hand in what they answer.
function answerCalls(run) {
  if (run.status !== 'requires_action') throw new Error(JSON.stringify(run));
  const calls = run.required_action.submit_tool_outputs.tool_calls;
  const given = calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  const tool_outputs = calls.map((call, at) => ({ tool_call_id: call.id, output: WEATHER[given[at][1].city] }));
  return { given, tool_outputs };
}

const textOf = (message) => message.content.map((part) => part.text?.value ?? '').join('');

async function lastMessage(client, run) {
  const message = (await client.beta.threads.messages.list(run.thread_id)).data[0];
  if (message.role !== 'assistant') throw new Error(JSON.stringify(message));
  return message;
}

const stepsOf = (client, run) =>
  all(
    named(client)
      ? client.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id, order: 'asc' })
      : client.beta.threads.runs.steps.list(run.thread_id, run.id, { order: 'asc' }),
  );

// Without what only deltas have.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([key]) => !['index', 'quote'].includes(key));
  return Object.fromEntries(kept.map(([key, one]) => [key, plain(one)]));
}

// The calls of a step as far as deltas tell; what a search found, and what a function answered, comes at once.
function called(details) {
  const calls = plain(details.tool_calls);
  for (const call of calls) {
    delete call.function?.output;
    delete call.file_search?.results;
  }
  return calls;
}

// What the stream's helper put together, and the same as it is stored.
async function both(client, ...streams) {
  const last = streams.at(-1);
  const runs = client.beta.threads.runs;
  const run = await inThread(client, runs.retrieve.bind(runs), last.run.thread_id, last.run.id);
  const messages = await all(client.beta.threads.messages.list(run.thread_id, { run_id: run.id, order: 'asc' }));
  const steps = Object.fromEntries((await stepsOf(client, run)).map((step) => [step.id, step]));
  const deltas = PUTS_CALLS_TOGETHER ? Object.assign({}, ...streams.map(({ seen }) => seen.steps)) : {};
  const callsOf = (id, details) => [id, called(details)];
  const streamed = {
    run: last.run,
    messages: last.seen.messages,
    steps: Object.assign({}, ...streams.map(({ seen }) => seen.stepsDone)),
    text: streams.map(({ seen }) => seen.text).join(''),
    texts: last.seen.texts,
    contents: (await last.events.finalMessages()).map((message) => plain(message.content)),
    calls: Object.fromEntries(Object.entries(deltas).map(([id, details]) => callsOf(id, details))),
  };
  const texts = messages.flatMap((message) => message.content).filter((part) => part.type === 'text');
  const polled = {
    run,
    messages,
    steps,
    text: messages.map(textOf).join(''),
    texts: texts.map((part) => part.text.value),
    contents: messages.map((message) => plain(message.content)),
    calls: Object.fromEntries(Object.keys(deltas).map((id) => callsOf(id, steps[id].step_details))),
  };
  return { streamed, polled };
}

async function text(client) {
  const run = await poll(client, await ask(client, 'hello'));
  return { text: textOf(await lastMessage(client, run)) };
}

async function streamText(client) {
  const heard = await stream(client, await ask(client, 'hello'));
  return { text: heard.seen.text, ...(await both(client, heard)) };
}

async function callFunction(client) {
  const run = await poll(client, await ask(client, 'What is the weather in Ghent and Oslo?', [GET_WEATHER]));
  const { given, tool_outputs } = answerCalls(run);
  const runs = client.beta.threads.runs;
  const submit = runs.submitToolOutputsAndPoll.bind(runs);
  const done = await inThread(client, submit, run.thread_id, run.id, { tool_outputs }, FAST);
  return { text: textOf(await lastMessage(client, done)), calls: given };
}

async function streamFunction(client) {
  const first = await stream(client, await ask(client, 'What is the weather in Ghent and Oslo?', [GET_WEATHER]));
  if (PUTS_CALLS_TOGETHER && first.seen.calls !== 2) throw new Error(`${first.seen.calls} calls`);
  const { given, tool_outputs } = answerCalls(first.run);
  const runs = client.beta.threads.runs;
  const submit = runs.submitToolOutputsStream.bind(runs);
  const second = listen(inThread(client, submit, first.run.thread_id, first.run.id, { tool_outputs }));
  second.run = await second.events.finalRun();
  return { text: second.seen.text, calls: given, ...(await both(client, first, second)) };
}

async function askForCode(client) {
  const file = await client.files.create({ file: createReadStream('sales.csv'), purpose: 'assistants' });
  const tool_resources = { code_interpreter: { file_ids: [file.id] } };
  return ask(client, 'Which month was best?', [{ type: 'code_interpreter' }], { tool_resources });
}

// What the code printed, and the size of the chart that it drew.
async function worked(client, run) {
  const calls = (await stepsOf(client, run)).flatMap((step) => step.step_details.tool_calls ?? []);
  const outputs = calls.flatMap((call) => call.code_interpreter.outputs);
  const [image] = outputs.filter((output) => output.type === 'image');
  const chart = Buffer.from(await (await client.files.content(image.image.file_id)).arrayBuffer());
  if (chart.subarray(1, 4).toString() !== 'PNG') throw new Error('no PNG');
  const logs = outputs.map((output) => output.logs ?? '').join('');
  return { text: textOf(await lastMessage(client, run)), logs, image: chart.length };
}

async function code(client) {
  return worked(client, await poll(client, await askForCode(client)));
}

async function streamCode(client) {
  const heard = await stream(client, await askForCode(client));
  const result = await worked(client, heard.run);
  if (heard.seen.logs !== result.logs) throw new Error(heard.seen.logs);
  return { ...result, ...(await both(client, heard)) };
}

async function askForFood(client) {
  const stores = vectorStores(client);
  const store = await stores.create({ name: 'Foods', expires_after: { anchor: 'last_active_at', days: 1 } });
  const files = [createReadStream('foods.txt')];
  const batch = await stores.fileBatches.uploadAndPoll(store.id, { files }, FAST);
  if (batch.file_counts.completed !== 1) throw new Error(JSON.stringify(batch));
  const tool_resources = { file_search: { vector_store_ids: [store.id] } };
  return ask(client, "What is Ada's favourite food?", [{ type: 'file_search' }], { tool_resources });
}

async function found(client, run) {
  const { value, annotations } = (await lastMessage(client, run)).content[0].text;
  const [annotation, more] = annotations;
  if (more || !value.includes(annotation.text)) throw new Error(JSON.stringify(annotations));
  const file = await client.files.retrieve(annotation.file_citation.file_id);
  return { text: value, citation: file.filename };
}

async function search(client) {
  return found(client, await poll(client, await askForFood(client)));
}

async function streamSearch(client) {
  const heard = await stream(client, await askForFood(client));
  return { ...(await found(client, heard.run)), ...(await both(client, heard)) };
}

async function incomplete(client) {
  const run = await poll(client, { ...(await ask(client, 'hello')), max_completion_tokens: 1000 });
  return { text: textOf(await lastMessage(client, run)), status: run.status };
}

async function streamIncomplete(client) {
  const heard = await stream(client, { ...(await ask(client, 'hello')), max_completion_tokens: 1000 });
  if (heard.run.incomplete_details.reason !== 'max_completion_tokens') throw new Error(JSON.stringify(heard.run));
  return { text: heard.seen.text, status: heard.run.status, ...(await both(client, heard)) };
}

async function streamFailed(client) {
  const heard = await stream(client, await ask(client, 'hello'));
  return { text: heard.seen.text, status: heard.run.status, ...(await both(client, heard)) };
}

async function streamCancel(client) {
  const { thread, ...body } = await ask(client, 'hello');
  const runs = client.beta.threads.runs;
  const heard = listen(runs.stream(thread, body));
  const begun = new Promise((resolve) => heard.events.once('textDelta', resolve));
  await begun;
  await inThread(client, runs.cancel.bind(runs), thread, heard.events.currentRun().id);
  heard.run = await heard.events.finalRun();
  return { text: heard.seen.text, status: heard.run.status, ...(await both(client, heard)) };
}

async function cancel(client) {
  const { thread, ...body } = await ask(client, 'hello');
  const runs = client.beta.threads.runs;
  const run = await runs.create(thread, body);
  const retrieve = () => inThread(client, runs.retrieve.bind(runs), thread, run.id);
  while ((await retrieve()).status !== 'in_progress') await new Promise((done) => setTimeout(done, 20));
  const { status } = await inThread(client, runs.cancel.bind(runs), thread, run.id);
  if (!['cancelling', 'cancelled'].includes(status)) throw new Error(status);
  const last = named(client) ? await runs.poll(run.id, { thread_id: thread }, FAST) : await runs.poll(thread, run.id, FAST);
  return { status: last.status };
}

async function pages(client) {
  const thread = await client.beta.threads.create();
  for (let number = 0; number < 25; number += 1) {
    await client.beta.threads.messages.create(thread.id, { role: 'user', content: String(number) });
  }
  const messages = await all(client.beta.threads.messages.list(thread.id, { limit: 10, order: 'asc' }));
  return { texts: messages.map(textOf) };
}

async function raised(promise) {
  const error = await promise.then(
    () => Promise.reject(new Error('no error')),
    (error) => error,
  );
  if (!(error instanceof OpenAI.APIError)) throw error;
  const request_id = error.requestID ?? error.request_id;
  return { error: error.constructor.name, message: error.message, request_id };
}

async function error(client) {
  return {
    missing: await raised(client.beta.assistants.retrieve('asst_missing')),
    refused: await raised(client.beta.assistants.list({ limit: 101 })),
  };
}

const FEATURES = {
  text,
  stream: streamText,
  function: callFunction,
  stream_function: streamFunction,
  code,
  stream_code: streamCode,
  search,
  stream_search: streamSearch,
  incomplete,
  stream_incomplete: streamIncomplete,
  stream_failed: streamFailed,
  stream_cancel: streamCancel,
  cancel,
  pages,
  error,
};

// Do what the command line names.
export async function play(client) {
  console.log(JSON.stringify(await FEATURES[process.argv[2]](client)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await play(new OpenAI());
