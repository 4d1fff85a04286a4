/** A client of Chronolith's HTTP API: write records, ask in SQL or PromQL, follow continuous queries. */

export { Client, type ClientOptions, type ProofOptions, type QueryOptions } from "./client.js";
export { ChronolithError, Rejected, type Place } from "./error.js";
export type { Change } from "./events.js";
export {
  type Advance,
  type Award,
  type Bounty,
  type Coin,
  type Disclosure,
  type Following,
  Market,
  type Offering,
  type Part,
  type Periods,
  type Share,
  type Shown,
  type Submission,
  type Wish,
} from "./market.js";
export { toLine, type RecordToWrite, type Value } from "./record.js";
