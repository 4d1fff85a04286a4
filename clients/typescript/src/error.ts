/** A place in a query or a body, from 1. */
export interface Place {
  line: number;
  column?: number;
}

/** The node refused a request, or cannot be reached. */
export class ChronolithError extends Error {
  override name = "ChronolithError";

  /**
   * @param status The HTTP status; undefined where there was no answer.
   * @param code The node's word for the kind of problem.
   * @param place Where in the query or the body it is.
   */
  constructor(
    message: string,
    readonly status?: number,
    readonly code?: string,
    readonly place?: Place,
  ) {
    super(message);
  }
}

/** Some records of a write were not taken; the others are kept. */
export class Rejected extends ChronolithError {
  override name = "Rejected";
}

/** The error that a body tells, in any of the forms that the node's routes have. */
export function refusal(status: number | undefined, text: string): ChronolithError {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    return new ChronolithError(text || `status ${status}`, status);
  }
  if (typeof told !== "object" || told === null) return new ChronolithError(text, status);
  const { error, errorType, message, line, column } = told as Record<string, unknown>;
  if (typeof error !== "string") return new ChronolithError(text, status);
  if (typeof message !== "string") {
    // As Prometheus has it.
    return new ChronolithError(error, status, errorType as string | undefined);
  }
  const place: Place | undefined =
    typeof line === "number" ? { line, ...(typeof column === "number" ? { column } : {}) } : undefined;
  return error === "partial_write"
    ? new Rejected(message, status, error, place)
    : new ChronolithError(message, status, error, place);
}
