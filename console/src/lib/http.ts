/** Requests to the console's own origin. Every request that is not a GET carries the fence header. */

export class HttpError extends Error {
  readonly status: number;
  readonly reason: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, message: string, reason?: string, retryAfterSeconds?: number) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface ErrorBody {
  message?: string;
  detail?: string;
  title?: string;
  reason?: string;
  errors?: { pointer: string; detail: string }[];
}

/** What a Kubernetes Status or a problem document says, in one line. */
export function errorMessage(status: number, body: string): { message: string; reason: string | undefined } {
  let parsed: ErrorBody;
  try {
    parsed = JSON.parse(body) as ErrorBody;
  } catch {
    return { message: `the server answered ${status}`, reason: undefined };
  }
  const fields = parsed.errors?.map((error) => `${error.pointer} ${error.detail}`).join("; ");
  const message = [parsed.message ?? parsed.detail ?? parsed.title, fields].filter(Boolean).join(": ");
  return { message: message || `the server answered ${status}`, reason: parsed.reason };
}

export interface Call {
  method?: "GET" | "POST" | "PATCH";
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal;
  keepalive?: boolean;
}

export async function call(path: string, { method = "GET", body, contentType, signal, keepalive }: Call = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["x-endcap-console"] = "1";
  if (body !== undefined) headers["content-type"] = contentType ?? "application/json";
  const init: RequestInit = { method, headers, keepalive: keepalive ?? false, cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  const response = await fetch(path, init);
  if (!response.ok) {
    const { message, reason } = errorMessage(response.status, await response.text());
    const after = Number(response.headers.get("retry-after"));
    throw new HttpError(response.status, message, reason, after > 0 ? after : undefined);
  }
  return response;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await call(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
