import { ChronolithError, Rejected, refusal } from "./error.js";
import { type Change, events, toChange } from "./events.js";
import { Market } from "./market.js";
import { type RecordToWrite, toLine } from "./record.js";

export interface ClientOptions {
  /** The address of the node's HTTP door. */
  url?: string;
  /** One that `chronolith token new` made. */
  token?: string;
  /** How long to wait for an answer: milliseconds. */
  timeoutMs?: number;
}

export interface QueryOptions {
  maxRows?: number;
  timeoutMs?: number;
}

/** How an answer is proved. */
export interface ProofOptions {
  /** Up to 64 bytes in hexadecimal. */
  nonce?: string;
  /** The height of the block that you trust; the genesis where absent. */
  since?: number;
  /** Leave the bodies of the chunks out. */
  withoutBodies?: boolean;
}

/** So many characters are written in one request. */
const BATCH_CHARACTERS = 4 << 20;
/** How long to wait at most before coming back to a node that went away: milliseconds. */
const LONGEST_PAUSE_MS = 30_000;
/** With these a node asks to come again. */
const AGAIN = new Set([429, 502, 503, 504]);

/** A node of Chronolith. */
export class Client {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;

  /** What the node deals in. */
  readonly market: Market;

  constructor({ url = "http://127.0.0.1:8428", token, timeoutMs = 60_000 }: ClientOptions = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.market = new Market(async (method, path, asked) => {
      const headers = { "Content-Type": "application/json" };
      const init = asked === undefined ? { method } : { method, body: JSON.stringify(asked), headers };
      return (await this.#fetch(path, init)).json();
    });
  }

  /**
   * Writes records; how many there were. When it returns they are as safe as the node promises. Where the
   * node did not take all, the others are kept, also those that come after, and the first `Rejected` is
   * thrown.
   */
  async write(records: Iterable<RecordToWrite>): Promise<number> {
    let [count, characters] = [0, 0];
    let lines: string[] = [];
    let rejected: Rejected | undefined;
    const writeSome = async () => {
      try {
        await this.writeLines(lines.join("\n"));
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        rejected ??= error;
      }
      [lines, characters] = [[], 0];
    };
    for (const record of records) {
      const line = toLine(record);
      lines.push(line);
      count += 1;
      characters += line.length + 1;
      if (characters >= BATCH_CHARACTERS) await writeSome();
    }
    if (lines.length > 0) await writeSome();
    if (rejected !== undefined) throw rejected;
    return count;
  }

  /** Writes line protocol as it is; times are nanoseconds. */
  async writeLines(lines: string): Promise<void> {
    const path = "/api/v2/write?bucket=default&precision=ns";
    await this.#fetch(path, { method: "POST", body: lines, headers: { "Content-Type": "text/plain; charset=utf-8" } });
  }

  /** The rows of a query. Times are text in RFC 3339, since Date has no nanoseconds. */
  async sql(query: string, options: QueryOptions = {}): Promise<Record<string, unknown>[]> {
    return (await this.#ask(query, "application/json", options)).json();
  }

  /** The answer to a query as a stream of Arrow IPC, for `tableFromIPC` of `apache-arrow`. */
  async arrow(query: string, options: QueryOptions = {}): Promise<ArrayBuffer> {
    return (await this.#ask(query, "application/vnd.apache.arrow.stream", options)).arrayBuffer();
  }

  /**
   * The answer to a query from what is anchored, with its proof: a file for `chronolith verify answer`. The
   * nonce, in hexadecimal, is what you chose, so that no older answer passes for this one.
   */
  async proved(query: string, options: ProofOptions = {}): Promise<ArrayBuffer> {
    const asked: Record<string, unknown> = { sql: query, prove: true };
    if (options.nonce !== undefined) asked["nonce"] = options.nonce;
    if (options.since !== undefined) asked["since"] = options.since;
    if (options.withoutBodies !== undefined) asked["without_bodies"] = options.withoutBodies;
    const headers = { "Content-Type": "application/json" };
    const init = { method: "POST", body: JSON.stringify(asked), headers };
    return (await this.#fetch("/api/v1/sql", init)).arrayBuffer();
  }

  /** PromQL at one time, now by default. */
  async promql(query: string, time?: Date): Promise<{ resultType: string; result: unknown }> {
    const form = new URLSearchParams({ query });
    if (time !== undefined) form.set("time", time.toISOString());
    const answer = await this.#fetch("/api/v1/query", { method: "POST", body: form });
    return ((await answer.json()) as { data: { resultType: string; result: unknown } }).data;
  }

  /** Carries out a statement about continuous queries: CREATE, REFRESH, PAUSE, RESUME, DROP. */
  async execute(statement: string): Promise<unknown> {
    const headers = { "Content-Type": "text/plain; charset=utf-8" };
    return (await this.#fetch("/api/v1/continuous", { method: "POST", body: statement, headers })).json();
  }

  /** The rows of a continuous query as they are now. */
  async continuous(name: string): Promise<Record<string, unknown>[]> {
    const answer = await this.#fetch(`/api/v1/continuous/${encodeURIComponent(name)}`, {});
    return ((await answer.json()) as { rows: Record<string, unknown>[] }).rows;
  }

  /**
   * The changes of a continuous query as they come, without end: each at least once, in order. Without
   * a cursor it begins with the rows that there are. A lost connection is made again, and goes on where
   * it was. Leave the loop to end it.
   */
  async *follow(name: string, cursor?: bigint): AsyncGenerator<Change> {
    const path = `/api/v1/continuous/${encodeURIComponent(name)}/changes`;
    let pauseMs = 500;
    for (;;) {
      const stop = new AbortController();
      try {
        const begin = cursor === undefined ? "snapshot" : cursor.toString();
        const headers = { Accept: "text/event-stream" };
        const answer = await this.#fetch(`${path}?from=${begin}`, { headers }, stop);
        if (answer.body === null) throw new ChronolithError("the answer has no body");
        for await (const event of events(answer.body as ReadableStream<Uint8Array>)) {
          pauseMs = 500;
          // It is the end of what is told: whatever the reason, it is no lost connection.
          if (event.kind === "error") throw refusal(409, event.data);
          const change = toChange(event);
          if (change !== undefined) yield change;
          if (event.id !== undefined) cursor = BigInt(event.id);
        }
      } catch (error) {
        // A node that refuses is not asked again; one that is away is.
        const status = error instanceof ChronolithError ? error.status : undefined;
        if (status !== undefined && !AGAIN.has(status)) throw error;
      } finally {
        stop.abort();
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  #ask(sql: string, accept: string, options: QueryOptions): Promise<Response> {
    const asked: Record<string, unknown> = { sql };
    if (options.maxRows !== undefined) asked["max_rows"] = options.maxRows;
    if (options.timeoutMs !== undefined) asked["timeout_ms"] = options.timeoutMs;
    const headers = { "Content-Type": "application/json", Accept: accept };
    return this.#fetch("/api/v1/sql", { method: "POST", body: JSON.stringify(asked), headers });
  }

  /** A request; with `stop` it may go on as long as it likes once the answer has begun. */
  async #fetch(path: string, init: RequestInit, stop?: AbortController): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== undefined) headers.set("Authorization", `Bearer ${this.#token}`);
    const signal = stop?.signal ?? AbortSignal.timeout(this.#timeoutMs);
    let answer: Response;
    try {
      answer = await fetch(this.#url + path, { ...init, headers, signal });
    } catch (error) {
      throw new ChronolithError(`${this.#url} cannot be reached: ${String(error)}`);
    }
    if (!answer.ok) throw refusal(answer.status, await answer.text());
    return answer;
  }
}
