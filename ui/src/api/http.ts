/** The one place that talks to a server. */

/** The path below which the server answers, without a slash at its end: what `<base>` says. */
export const PREFIX = new URL(document.baseURI).pathname.replace(/\/[^/]*$/, '');

let csrfToken: string | undefined;

/** What the server wants to see with every change, so that no other page can make one. */
export function setCsrfToken(token: string | undefined): void {
  csrfToken = token;
}

export type Parameters = Record<string, string | number | boolean | readonly string[] | undefined>;

/** A request that was refused, or an answer that could not be had. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 where there was no answer. */
    readonly status: number,
    /** What kind of failure the server says it is, such as `bad_data`. */
    readonly kind?: string,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

interface Options {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  parameters?: Parameters;
  /** Sent as JSON. */
  body?: unknown;
  /** Sends the parameters as a form, for those too long for an address. */
  form?: boolean;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export function encodeParameters(parameters: Parameters): URLSearchParams {
  const encoded = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === '') continue;
    const values = typeof value === 'object' ? value : [String(value)];
    for (const each of values) encoded.append(name, each);
  }
  return encoded;
}

/** Asks and gives what the answer holds as JSON. */
export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const text = await requestText(path, options);
  if (text === '') return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(`${path} did not answer with JSON`, 200);
  }
}

/** Asks and gives the answer as text. */
export async function requestText(path: string, options: Options = {}): Promise<string> {
  const { method = options.form ? 'POST' : 'GET', parameters = {}, body, form, signal } = options;
  const encoded = encodeParameters(parameters);
  const query = form || encoded.size === 0 ? '' : `?${encoded}`;
  const headers = new Headers(options.headers);
  if (csrfToken && method !== 'GET') headers.set('X-CSRF-Token', csrfToken);
  const init: RequestInit = { method, headers, signal: signal ?? null, credentials: 'same-origin' };
  if (form) init.body = encoded;
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    headers.set('Content-Type', 'application/json');
  }
  let response: Response;
  try {
    response = await fetch(`${PREFIX}${path}${query}`, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('the server cannot be reached', 0);
  }
  const text = await response.text();
  if (!response.ok) throw failure(response.status, text);
  return text;
}

/** What an answer of failure says, in whichever of the forms of the three APIs it says it. */
function failure(status: number, text: string): ApiError {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'string') return new ApiError(parsed, status);
    const { error, message, errorType } = parsed as { error?: string; message?: string; errorType?: string };
    const told = error ?? message;
    if (told) return new ApiError(told, status, errorType);
  } catch {
    // Not JSON: the text is the message.
  }
  return new ApiError(text.trim() || `the server answered with status ${status}`, status);
}
