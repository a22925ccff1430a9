// promptfoo's `openai:assistant` provider; the last line that it prints is what it saw.
import { createReadStream } from 'node:fs';
import OpenAI from 'openai';

// Nothing goes to others.
process.env.PROMPTFOO_DISABLE_TELEMETRY = '1';
process.env.PROMPTFOO_DISABLE_UPDATE = '1';
process.env.PROMPTFOO_DISABLE_REMOTE_GENERATION = '1';
const { default: promptfoo } = await import('promptfoo');

const WEATHER = { Ghent: '21 degrees, sunny', Oslo: '12 degrees, rain' };
const client = new OpenAI();

// The provider asks an assistant that is there.
async function ask(question, assistant = {}, config = {}) {
  const { id } = await client.beta.assistants.create({
    name: 'Helper',
    instructions: 'You help.',
    model: process.env.UNDERSTUDY_MODEL,
    ...assistant,
  });
  const provider = await promptfoo.loadApiProvider(`openai:assistant:${id}`, { options: { config } });
  const { output, error } = await provider.callApi(question);
  if (error) throw new Error(error);
  return output;
}

// The answer is one text, in which every message and every tool call is a block.
const told = (output) => output.split('[Assistant] ').at(-1);

async function text() {
  return { text: told(await ask('hello')) };
}

async function callFunction() {
  const calls = [];
  const get_weather = async ({ city }) => {
    calls.push(['get_weather', { city }]);
    return WEATHER[city];
  };
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }];
  const output = await ask(
    'What is the weather in Ghent and in Oslo?',
    { tools },
    { functionToolCallbacks: { get_weather } },
  );
  for (const [name, given] of calls) {
    if (!output.includes(`[Call function ${name} with arguments ${JSON.stringify(given)}]`)) {
      throw new Error(output);
    }
  }
  return { text: told(output), calls };
}

async function code() {
  const file = await client.files.create({ file: createReadStream('sales.csv'), purpose: 'assistants' });
  const output = await ask('Which month was best?', {
    tools: [{ type: 'code_interpreter' }],
    tool_resources: { code_interpreter: { file_ids: [file.id] } },
  });
  const printed = '[Code interpreter output]\n\n';
  const end = '\n<image output>';
  const logs = output.slice(output.indexOf(printed) + printed.length, output.indexOf(end));
  return { text: told(output).replace('<image_file output>\n', ''), logs };
}

async function search() {
  const store = await client.vectorStores.create({ name: 'Foods' });
  await client.vectorStores.files.uploadAndPoll(store.id, createReadStream('foods.txt'));
  const output = await ask('What does Ada like?', {
    tools: [{ type: 'file_search' }],
    tool_resources: { file_search: { vector_store_ids: [store.id] } },
  });
  if (!output.startsWith('[Ran file search]')) throw new Error(output);
  return { text: told(output) };
}

const plays = { text, function: callFunction, code, search };
console.log(JSON.stringify(await plays[process.argv[2]]()));
