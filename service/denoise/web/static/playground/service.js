/** What the page asks of the service: its models, its limits, and clean pictures. Addresses are relative. */

/** What went wrong, in the service's own sentence. */
export class Problem extends Error {
  /**
   * @param {string} detail
   * @param {number} [status]
   */
  constructor(detail, status = 0) {
    super(detail);
    this.status = status;
  }
}

/** What `read` makes of the answer, if it is a good one. */
async function ask(address, options = {}, read = (response) => response.json()) {
  let response;
  try {
    response = await fetch(address, options);
    if (response.ok) return await read(response);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem("The service cannot be reached.");
  }
  const problem = await response.json().catch(() => ({})); // a proxy in between has sentences of its own
  throw new Problem(problem.detail ?? `The service answered ${response.status}.`, response.status);
}

export const models = async () => (await ask("models")).models;
export const info = () => ask("info");

/** A file that the service has for everyone. */
export const file = (from) => ask(from, {}, (response) => response.blob());

/**
 * The address of a call.
 * @param {{name: string, task: string}} model
 * @param {Record<string, string | number>} parameters
 */
export function address(model, parameters) {
  const query = new URLSearchParams({ model: model.name, ...parameters });
  return new URL(`${model.task}?${query}`, document.baseURI).href;
}

/** The address of the call that finds the digits of a page; the service chooses the model. */
export const digitsAddress = (parameters) => new URL(`digits?${new URLSearchParams(parameters)}`, document.baseURI).href;

/** The Content-Type that a file is sent with: whether it is an image the service reads from its bytes. */
export const kindOf = (file) => (file.type.startsWith("image/") ? file.type : "application/octet-stream");

/**
 * A picture's answer, or a page's digits.
 * @param {Blob} body
 * @param {string} to address
 * @param {{key: string, signal: AbortSignal}} options
 */
export function clean(body, to, { key, signal }) {
  const headers = { Accept: "application/json", "Content-Type": kindOf(body) };
  if (key) headers.Authorization = `Bearer ${key}`;
  return ask(to, { method: "POST", body, headers, signal });
}

/** Does `work` for each of `things`, at most `limit` at a time, in their order. */
export async function each(things, limit, work) {
  const waiting = [...things];
  const worker = async () => {
    while (waiting.length) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: limit }, worker));
}
