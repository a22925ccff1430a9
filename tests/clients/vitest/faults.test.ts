// Faults on purpose: the official client retries and recovers, or raises the class that it raises of the hosted API.
import OpenAI from "openai";
import { expect, test } from "vitest";
import { understudy } from "./understudy";

const RECOVERED = [
  { status: 429, retry_after: 0.01 },
  { status: 500 },
  { status: 503 },
  { drop: true },
  { drop: "after" },
  { cut: 0 },
];
test.each(RECOVERED)("the client recovers from %o", async (fault) => {
  await understudy("POST", "/faults", { match: "POST /v1/threads", times: 2, ...fault });
  const thread = await new OpenAI({ maxRetries: 2 }).beta.threads.create();
  expect(thread.id).toMatch(/^thread_/);
  expect((await understudy("GET", "/faults")).data[0].struck).toBe(2);
});

const RAISED: [object, new (...args: any[]) => Error][] = [
  [{ status: 400 }, OpenAI.BadRequestError],
  [{ status: 401 }, OpenAI.AuthenticationError],
  [{ status: 403 }, OpenAI.PermissionDeniedError],
  [{ status: 404 }, OpenAI.NotFoundError],
  [{ status: 409 }, OpenAI.ConflictError],
  [{ status: 422 }, OpenAI.UnprocessableEntityError],
  [{ status: 429 }, OpenAI.RateLimitError],
  [{ status: 500 }, OpenAI.InternalServerError],
  [{ drop: true }, OpenAI.APIConnectionError],
  [{ drop: "after" }, OpenAI.APIConnectionError],
  [{ cut: 0 }, OpenAI.APIConnectionError],
  [{ stall: 0 }, OpenAI.APIConnectionTimeoutError],
  [{ delay: 2 }, OpenAI.APIConnectionTimeoutError],
];
test.each(RAISED)("%o has its class", async (fault, raised) => {
  await understudy("POST", "/faults", { match: "GET /v1/assistants", ...fault });
  const client = new OpenAI({ maxRetries: 0, timeout: 500 });
  const error = await client.beta.assistants.list().then(() => null, (error) => error);
  expect(error.constructor).toBe(raised);
  if ("status" in fault) {
    expect(error.error.message).toBe("This error was asked for by a test.");
  }
  expect((await new OpenAI().beta.assistants.list()).data).toEqual([]);
});

async function eventsOfRun(client: OpenAI, signal?: AbortSignal): Promise<{ events: string[]; error: unknown }> {
  const assistant = await client.beta.assistants.create({ model: "gpt-4o" });
  const thread = { messages: [{ role: "user" as const, content: "hello" }] };
  const events: string[] = [];
  try {
    const body = { assistant_id: assistant.id, thread, stream: true as const };
    for await (const event of await client.beta.threads.createAndRun(body, { signal })) {
      events.push(event.event);
    }
  } catch (error) {
    return { events, error };
  }
  return { events, error: null };
}

test("a stream that breaks off", async () => {
  const client = new OpenAI({ maxRetries: 0 });
  const whole = await eventsOfRun(client);
  expect(whole.error).toBeNull();
  await understudy("POST", "/faults", { match: "POST /v1/threads/runs", cut: 4 });
  const broken = await eventsOfRun(client);
  expect(broken.events).toEqual(whole.events.slice(0, 4));
  expect(broken.error).toBeInstanceOf(Error);
  expect(await eventsOfRun(client)).toEqual(whole);
});

test("a stream that stalls goes on until the client leaves", async () => {
  const client = new OpenAI({ maxRetries: 0 });
  await understudy("POST", "/faults", { match: "POST /v1/threads/runs", stall: 4 });
  const stalled = await eventsOfRun(client, AbortSignal.timeout(1000));
  expect(stalled.events.length).toBe(4);
  await expect.poll(async () => (await understudy("GET", "/runs")).data[0].status).toBe("completed");
});

test("a run that fails", async () => {
  await understudy("POST", "/faults", { fail_run: "rate_limit_exceeded", message: "Out of luck." });
  const client = new OpenAI();
  const assistant = await client.beta.assistants.create({ model: "gpt-4o" });
  const thread = { messages: [{ role: "user" as const, content: "hello" }] };
  const run = await client.beta.threads.createAndRunPoll({ assistant_id: assistant.id, thread });
  expect(run.last_error).toEqual({ code: "rate_limit_exceeded", message: "Out of luck." });
});
