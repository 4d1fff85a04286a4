/** The market's role of a node: offers, requests, rights and subscriptions of its account. */

const PATH = "/api/v1/market";

/** Asks a node: the JSON of its answer. */
export type Ask = (method: string, path: string, asked?: unknown) => Promise<unknown>;

/** What a node answers of the market, as docs/http.md describes it. */
export type Shown = Record<string, unknown>;

/** What is offered. Prices are coin as texts: "12", "0.5". Times are texts of RFC 3339. */
export interface Offering {
  device: string;
  /** None means all that are not hidden, also those to come. */
  metrics?: string[];
  perHour?: string;
  fixed?: string;
  start?: string;
  end?: string;
}

/** A range that is asked for. */
export interface Wish {
  offer: string;
  start: string;
  end: string;
  /** For how many blocks the owner may think. */
  deadlineBlocks?: number;
}

/** Periods that are subscribed to. */
export interface Periods {
  offer: string;
  start: string;
  /** How many hours a period has. */
  hours: number;
  /** How many are paid for. */
  periods: number;
  /** After how many blocks without a draw it ends. */
  patienceBlocks?: number;
}

/** What a node deals in. What sets coin aside or gives keys away needs a token with the scope `admin`. */
export class Market {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** How the role is doing, with the requests that wait for the owner's word. */
  async status(): Promise<Shown> {
    return (await this.#ask("GET", PATH)) as Shown;
  }

  /** The offers of the chain that take requests. */
  async offers(): Promise<Shown[]> {
    return (await this.#ask("GET", `${PATH}/offers`)) as Shown[];
  }

  /** Offers metrics of a device. */
  async offer({ device, metrics = [], perHour = "0", fixed = "0", start, end }: Offering): Promise<Shown> {
    // What is undefined is not sent.
    const asked = { device, metrics, per_hour: perHour, fixed, from: start, until: end };
    return (await this.#ask("POST", `${PATH}/offers`, asked)) as Shown;
  }

  /** Takes an offer back; what was bought of it stays. */
  async close(offer: string): Promise<Shown> {
    return (await this.#ask("DELETE", `${PATH}/offers/${offer}`)) as Shown;
  }

  /** Asks for a right, with its price set aside. What is granted comes into the node's database. */
  async buy({ offer, start, end, deadlineBlocks }: Wish): Promise<Shown> {
    const asked = { offer, from: start, until: end, deadline_blocks: deadlineBlocks };
    return (await this.#ask("POST", `${PATH}/requests`, asked)) as Shown;
  }

  /** Takes a request back. */
  async cancel(request: string): Promise<Shown> {
    return (await this.#ask("DELETE", `${PATH}/requests/${request}`)) as Shown;
  }

  /** The owner's yes: the keys go on the ledger, sealed to the buyer. */
  async grant(request: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/requests/${request}/grant`)) as Shown;
  }

  /** The owner's no: the payment goes back. */
  async decline(request: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/requests/${request}/decline`)) as Shown;
  }

  /** What the node's account sold and bought. */
  async rights(side?: "sold" | "bought"): Promise<Shown[]> {
    const query = side === undefined ? "" : `?side=${side}`;
    return (await this.#ask("GET", `${PATH}/rights${query}`)) as Shown[];
  }

  /** Pays for periods that are still to come; the keys of each come into the node's database. */
  async subscribe({ offer, start, hours, periods, patienceBlocks }: Periods): Promise<Shown> {
    const asked = { offer, from: start, hours, periods, patience_blocks: patienceBlocks };
    return (await this.#ask("POST", `${PATH}/subscriptions`, asked)) as Shown;
  }

  /** The subscriptions that the node's account has a part in. */
  async subscriptions(): Promise<Shown[]> {
    return (await this.#ask("GET", `${PATH}/subscriptions`)) as Shown[];
  }

  /** Pays for more periods. */
  async topUp(subscription: string, periods: number): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/subscriptions/${subscription}/top_up`, { periods })) as Shown;
  }

  /** Ends a subscription; what is not drawn comes back. */
  async end(subscription: string): Promise<Shown> {
    return (await this.#ask("DELETE", `${PATH}/subscriptions/${subscription}`)) as Shown;
  }
}
