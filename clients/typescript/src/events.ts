/** One change of a continuous query's answer. */
export interface Change {
  /** "row" is what was there when it began. */
  kind: "row" | "insert" | "update" | "delete";
  row: Record<string, unknown>;
  /** What to go on from once the change is dealt with; the rows of a beginning have none. */
  cursor?: bigint;
}

/** An event of a stream (WHATWG HTML, 9.2). */
export interface StreamEvent {
  kind: string;
  id?: string;
  data: string;
}

/** The events of a body. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let event: { kind: string; id?: string; data: string[] } = { kind: "message", data: [] };
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        const { kind, id, data } = event;
        if (data.length > 0) yield { kind, ...(id === undefined ? {} : { id }), data: data.join("\n") };
        event = { kind: "message", data: [] };
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") event.kind = value;
      else if (name === "id") event.id = value;
      else if (name === "data") event.data.push(value);
    }
  }
}

/** The change that an event tells; undefined for one that only tells a cursor. */
export function toChange({ kind, id, data }: StreamEvent): Change | undefined {
  if (kind !== "row" && kind !== "insert" && kind !== "update" && kind !== "delete") return undefined;
  const { cursor: _cursor, change: _change, ...row } = JSON.parse(data) as Record<string, unknown>;
  return { kind, row, ...(id === undefined ? {} : { cursor: BigInt(id) }) };
}
