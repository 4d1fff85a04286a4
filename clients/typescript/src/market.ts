/** The market's role of a node: what its account offers, asks for, sells, buys and agrees to. */

const PATH = "/api/v1/market";

/** Asks a node: the JSON of its answer. */
export type Ask = (method: string, path: string, asked?: unknown) => Promise<unknown>;

/** What a node answers of the market, as docs/http.md describes it. */
export type Shown = Record<string, unknown>;

/** Which part of a list: at most `limit`, 100 where it is not said and never more than 1,000, behind an id. */
export interface Part {
  limit?: number;
  /** The last id of the part before. */
  after?: string;
}

/** An issued coin by its id, or as the node shows it. */
export type Coin = string | { Issued: string };

/**
 * What a hidden offer is of: what the ledger has the hash of. Its owner has it from `offer`, and in his wallet, and
 * gives it to those who may buy, and to nobody else.
 */
export interface Disclosure {
  format: string;
  offer: string;
  scope: { salt: string; device: string; tree: number; trees: string[] };
}

/**
 * What is offered. Prices are coin as texts, "12" or "0.5", of 10^18 of the smallest unit each, or "250motes": so many
 * of the smallest unit, also of an issued coin. Times are texts of RFC 3339.
 */
export interface Offering {
  device: string;
  /** None means all that are not hidden, also those to come. */
  metrics?: string[];
  perHour?: string;
  fixed?: string;
  /** The coin that the price is in; the chain's own where it is not said. */
  coin?: Coin;
  /** How many blocks a buyer has to check what he was given. */
  checkBlocks?: number;
  start?: string;
  end?: string;
  /**
   * Sells answers instead of data: the content id of a question of the node's configuration, or the text of the file
   * of another.
   */
  question?: string;
  /** What is asked of sales of what is made of this data, in basis points of their price. */
  royaltyBp?: number;
  /** The offers that the data was made of. */
  sources?: string[];
  /** Whether it may be taken back after it was paid. */
  revocable?: boolean;
  /** What that costs on top, in basis points of the price. */
  revocationFeeBp?: number;
  /**
   * The content id of a contract of the node's configuration: price and terms are what it says and are not said here,
   * and its rules grant.
   */
  contract?: string;
}

/** A range that is asked for. */
export interface Wish {
  offer: string;
  start: string;
  end: string;
  /** For how many blocks the owner may think. */
  deadlineBlocks?: number;
  /** What a hidden offer is of, as its owner told it: its keys cannot be bought without (`undisclosed`). */
  disclosure?: Disclosure;
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

/** Data that is asked for, with a reward set aside. */
export interface Bounty {
  /** The content id of what is wanted, and of all that is agreed. */
  text: string;
  /** Coin as a text. */
  reward: string;
  /** The coin of the reward; the chain's own where it is not said. */
  coin?: Coin;
  /** For how many blocks submissions are taken. */
  submitBlocks: number;
  /** For how many blocks after that awards may be made. */
  awardBlocks: number;
  /** Where goes what nobody was awarded. */
  leftover?: "poster" | "submitters";
  /** Whose the data is once it is awarded. */
  ownership?: "submitter" | "poster" | "both";
}

/** What is submitted to a bounty; encrypted data by an offer and a range. */
export interface Submission {
  /** The content id of what is submitted. */
  content: string;
  offer?: string;
  start?: string;
  end?: string;
}

/** A share of a bounty's reward. */
export interface Award {
  /** The number of the submission. */
  number: number;
  /** Basis points. */
  share: number;
}

/** A share of what a party of a deal set aside. */
export interface Share {
  /** The number of the party whose part it is of. */
  of: number;
  /** The number of the party that gets it. */
  to: number;
  /** Basis points. */
  share: number;
}

/** What is said of the step that a deal is at. */
export interface Advance {
  /** The number of the step, so that nothing is said of a later one by mistake. */
  step: number;
  /** Objects, instead of saying that it is done. */
  objects?: boolean;
  /** The content id of what shows it. */
  evidence?: string;
}

/** What a deal is of, and what its arbiter says. */
export interface Following {
  /** The device, where the contract says any. */
  device?: string;
  start?: string;
  end?: string;
  /** In a word that rules ask. */
  ruling?: string;
  /** Basis points. */
  rulingBp?: number;
}

/** An address with parameters, of which those that are not there are left out. */
function withParameters(path: string, parameters: Record<string, string | number | undefined>): string {
  const said = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(said.map(([name, value]): [string, string] => [name, String(value)]));
  return said.length === 0 ? path : `${path}?${query}`;
}

/**
 * What a node deals in. What sets coin aside or gives keys away needs a token with the scope `admin`. An error with
 * the code `unsettled` says that something may be done all the same: look at the list before doing it again.
 */
export class Market {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** A part of a list. */
  async #list(name: string, { limit, after }: Part, more: Record<string, string | undefined> = {}): Promise<Shown[]> {
    return (await this.#ask("GET", withParameters(`${PATH}/${name}`, { ...more, limit, after }))) as Shown[];
  }

  /**
   * How the role is doing, with the requests that wait for the owner's word (`waiting`) and what was bought, has keys
   * and is not here (`not_taken`), with the reasons; `settles` of these is the last height for a dispute.
   */
  async status(): Promise<Shown> {
    return (await this.#ask("GET", PATH)) as Shown;
  }

  /** The offers of the chain that take requests. */
  async offers(part: Part = {}): Promise<Shown[]> {
    return await this.#list("offers", part);
  }

  /** Offers metrics of a device. Where `hidden` is true, `disclosure` is what those need who may buy. */
  async offer(offering: Offering): Promise<Shown> {
    const { device, metrics = [], perHour, fixed, coin, start, end, question, royaltyBp, sources } = offering;
    const { checkBlocks, revocable, revocationFeeBp, contract } = offering;
    // What is undefined is not sent.
    const price = { per_hour: perHour, fixed, coin };
    const range = { from: start, until: end };
    const revocation = { revocable, revocation_fee_bp: revocationFeeBp };
    const terms = { check_blocks: checkBlocks, ...revocation, contract, royalty_bp: royaltyBp };
    const asked = { device, metrics, ...price, ...range, ...terms, question, sources };
    return (await this.#ask("POST", `${PATH}/offers`, asked)) as Shown;
  }

  /** What a hidden offer of the node's account is of, as `offer` answered it. */
  async disclosure(offer: string): Promise<Disclosure> {
    return (await this.#ask("GET", `${PATH}/offers/${offer}/disclosure`)) as Disclosure;
  }

  /** Takes an offer back; what was bought of it stays. */
  async close(offer: string): Promise<Shown> {
    return (await this.#ask("DELETE", `${PATH}/offers/${offer}`)) as Shown;
  }

  /** Asks for a right, with its price set aside. What is granted comes into the node's database. */
  async buy({ offer, start, end, deadlineBlocks, disclosure }: Wish): Promise<Shown> {
    const asked = { offer, from: start, until: end, deadline_blocks: deadlineBlocks, disclosure };
    return (await this.#ask("POST", `${PATH}/requests`, asked)) as Shown;
  }

  /**
   * Shows the ledger a key that is wrong: the payment comes back. This publishes the secret of the request: everybody
   * can open what was granted from then on, and of a hidden offer everybody reads the device and its key trees. What
   * `not_taken` of the status has as `disputable` can be disputed up to its `settles`, whatever the owner's note says
   * then. An error with the status 422 where the keys hold or it is too late, so that nothing is shown for nothing;
   * with the code `under_way` where somebody disputes the same.
   */
  async dispute(request: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/requests/${request}/dispute`)) as Shown;
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

  /** Takes a granted right back, with the refund that its terms say; keys that were given stay with the buyer. */
  async revoke(request: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/requests/${request}/revoke`)) as Shown;
  }

  /**
   * The owner's yes where answers are sold: his database is asked, and the answer sealed to the buyer. The question is
   * needed where the offer's is none of the node's configuration.
   */
  async answer(request: string, question?: string): Promise<Shown> {
    const asked = question === undefined ? undefined : { question };
    return (await this.#ask("POST", `${PATH}/requests/${request}/answer`, asked)) as Shown;
  }

  /**
   * An answer that was bought; `holds` says whether it is what its owner signed. An error with the code `not_answered`
   * while there is none.
   */
  async read(request: string): Promise<Shown> {
    return (await this.#ask("GET", `${PATH}/requests/${request}/answer`)) as Shown;
  }

  /**
   * Shows the ledger an answer that is not what its owner signed: the payment comes back. This publishes the secret of
   * the request: everybody can open the answer from then on.
   */
  async disputeAnswer(request: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/requests/${request}/answer/dispute`)) as Shown;
  }

  /** What the node's account sold and bought. */
  async rights(side?: "sold" | "bought", part: Part = {}): Promise<Shown[]> {
    return await this.#list("rights", part, { side });
  }

  /** Pays for periods that are still to come; the keys of each come into the node's database. */
  async subscribe({ offer, start, hours, periods, patienceBlocks }: Periods): Promise<Shown> {
    const asked = { offer, from: start, hours, periods, patience_blocks: patienceBlocks };
    return (await this.#ask("POST", `${PATH}/subscriptions`, asked)) as Shown;
  }

  /** The subscriptions that the node's account has a part in. */
  async subscriptions(part: Part = {}): Promise<Shown[]> {
    return await this.#list("subscriptions", part);
  }

  /** Pays for more periods. */
  async topUp(subscription: string, periods: number): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/subscriptions/${subscription}/top_up`, { periods })) as Shown;
  }

  /**
   * The same as `dispute` of a period of a subscription, which ends with it. This publishes the secret of the
   * subscription: everybody can open the keys of all its periods from then on.
   */
  async disputePeriod(subscription: string, period: number): Promise<Shown> {
    const path = `${PATH}/subscriptions/${subscription}/periods/${period}/dispute`;
    return (await this.#ask("POST", path)) as Shown;
  }

  /** Ends a subscription; what is not drawn comes back. */
  async end(subscription: string): Promise<Shown> {
    return (await this.#ask("DELETE", `${PATH}/subscriptions/${subscription}`)) as Shown;
  }

  /** The bounties of the chain that take awards; with `closed` all that there were. */
  async bounties(closed = false, part: Part = {}): Promise<Shown[]> {
    return await this.#list("bounties", part, { closed: closed ? "true" : undefined });
  }

  /** A bounty, and what was submitted to it. */
  async bounty(bounty: string): Promise<Shown> {
    return (await this.#ask("GET", `${PATH}/bounties/${bounty}`)) as Shown;
  }

  /** Asks for data that nobody offers, with a reward set aside. */
  async postBounty(bounty: Bounty): Promise<Shown> {
    const { text, reward, coin, submitBlocks, awardBlocks, leftover, ownership } = bounty;
    const blocks = { submit_blocks: submitBlocks, award_blocks: awardBlocks };
    const asked = { text, reward, coin, ...blocks, leftover, ownership };
    return (await this.#ask("POST", `${PATH}/bounties`, asked)) as Shown;
  }

  /** Submits to a bounty, and agrees to its terms. */
  async submit(bounty: string, { content, offer, start, end }: Submission): Promise<Shown> {
    const asked = { content, offer, from: start, until: end };
    return (await this.#ask("POST", `${PATH}/bounties/${bounty}/submissions`, asked)) as Shown;
  }

  /**
   * Awards shares of the reward. Awards of encrypted data become requests; what is granted comes into the node's
   * database. What is submitted by a hidden offer is awarded only with what its owner told, among `disclosures`.
   */
  async award(
    bounty: string,
    shares: Award[],
    grantBlocks?: number,
    disclosures?: Disclosure[],
  ): Promise<Shown> {
    const asked = { shares, grant_blocks: grantBlocks, disclosures };
    return (await this.#ask("POST", `${PATH}/bounties/${bounty}/awards`, asked)) as Shown;
  }

  /** The deals of several steps that the node's account has a part in. */
  async deals(part: Part = {}): Promise<Shown[]> {
    return await this.#list("deals", part);
  }

  /** A deal: its plan, where it is, who said what. */
  async deal(deal: string): Promise<Shown> {
    return (await this.#ask("GET", `${PATH}/deals/${deal}`)) as Shown;
  }

  /** Where a deal is by its contract: what is due, what the node's data answers, who gets what. */
  async dealCourse(deal: string, following: Following = {}): Promise<Shown> {
    const { device, start, end, ruling, rulingBp } = following;
    const asked = { device, from: start, until: end, ruling, ruling_bp: rulingBp };
    return (await this.#ask("GET", withParameters(`${PATH}/deals/${deal}/course`, asked))) as Shown;
  }

  /** Opens a deal by its plan (docs/deals.md), and sets the account's part aside. */
  async openDeal(plan: unknown): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/deals`, plan)) as Shown;
  }

  /** Joins a deal as it is, and sets the account's part aside. */
  async joinDeal(deal: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/deals/${deal}/join`)) as Shown;
  }

  /** Says that the step that a deal is at is done, or objects to it. */
  async advance(deal: string, { step, objects, evidence }: Advance): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/deals/${deal}/advance`, { step, objects, evidence })) as Shown;
  }

  /** Decides a disputed deal, as its arbiter. */
  async arbitrate(deal: string, shares: Share[], reasons?: string): Promise<Shown> {
    return (await this.#ask("POST", `${PATH}/deals/${deal}/arbitrate`, { shares, reasons })) as Shown;
  }
}
