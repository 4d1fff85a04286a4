/** What a metric can hold: a bigint is an integer, a number a floating-point one. */
export type Value = number | bigint | boolean | string;

/** What one device measured at one time: some values, each of the metric of that name. */
export interface RecordToWrite {
  device: string;
  /** Nanoseconds since the epoch, or a Date, which has milliseconds. */
  time: bigint | Date;
  values: Readonly<Record<string, Value>>;
  /** What kind of device it is; "records" by default. */
  className?: string;
  tags?: Readonly<Record<string, string>>;
}

/** The record in line protocol. */
export function toLine(record: RecordToWrite): string {
  const { device, values, className = "records", tags = {} } = record;
  if ("device" in tags) throw new TypeError("the device is no tag");
  const names = Object.keys(values);
  if (names.length === 0) throw new TypeError("a record has at least one value");
  const labels = Object.entries({ ...tags, device }).sort(([a], [b]) => (a < b ? -1 : 1));
  const key = escaped(className, ", ") + labels.map(([n, v]) => `,${escaped(n, ",= ")}=${escaped(v, ",= ")}`).join("");
  const fields = Object.entries(values).map(([n, v]) => `${escaped(n, ",= ")}=${written(n, v)}`);
  return `${key} ${fields.join(",")} ${nanoseconds(record.time)}`;
}

function nanoseconds(time: bigint | Date): bigint {
  if (typeof time === "bigint") return time;
  if (Number.isNaN(time.getTime())) throw new TypeError("the time is no valid Date");
  return BigInt(time.getTime()) * 1_000_000n;
}

function escaped(text: string, special: string): string {
  if (text === "") throw new TypeError("names and tags are not empty");
  if (text.includes("\n") || text.endsWith("\\")) {
    throw new TypeError(`${JSON.stringify(text)} cannot be written in line protocol`);
  }
  return [...text].map((c) => (special.includes(c) ? "\\" + c : c)).join("");
}

function written(name: string, value: Value): string {
  switch (typeof value) {
    case "bigint":
      return `${value}i`;
    case "boolean":
      return String(value);
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`${name}: line protocol has no ${value}`);
      return String(value);
    default:
      return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  }
}
