// @ts-check
import { make } from "./panel.js";
import { t } from "./words.js";

/**
 * @typedef {object} KnownFile as nodes/host/routes.py describes it
 * @property {string} name
 * @property {string[]} aliases
 * @property {number | null} bytes
 * @property {string} licence
 * @property {boolean} here whether it is in the user's folders
 * @property {"running" | "done" | "failed" | "cancelled" | null} state of its download
 * @property {number} done bytes that have arrived
 * @property {string} reason why it failed
 */

const PATH = "/codeformer/downloads";
const ENTRY = "download "; // how the loaders' lists name what is not there yet
const EVERY = 500; // milliseconds between two looks at a running download
const AGAIN = 2000; // and after one that failed
const MEGABYTE = 1e6;

/** What a loader shows while the chosen file is not there: size, licence, button, progress. */
export class Download {
  /**
   * @param {AbortSignal} life
   * @param {(path: string, options?: RequestInit) => Promise<Response>} request
   * @param {() => string} chosen the entry of the loader's list
   * @param {() => boolean} ask whether a click is wanted before anything is fetched
   * @param {(shown: boolean) => void} onShown
   */
  constructor(life, request, chosen, ask, onShown) {
    this.life = life;
    this.request = request;
    this.chosen = chosen;
    this.ask = ask;
    this.onShown = onShown;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.title = make("div");
    this.detail = make("div", { class: "codeformer-faint" });
    this.bar = make("progress", { hidden: true });
    this.status = make("span", { role: "status" });
    const { start, cancel } = this.#buttons();
    this.start = start;
    this.cancel = cancel;
    const row = make("div", { class: "codeformer-bar" }, start, cancel, this.bar, this.status);
    this.element = make("div", { class: "codeformer-download", hidden: true }, this.title, this.detail, row);
    life.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /**
   * Show the state of the chosen file.
   * @param {boolean} [byUser] whether the user has just chosen it
   */
  async refresh(byUser = false) {
    clearTimeout(this.timer);
    /** @type {KnownFile | undefined} */
    let file;
    try {
      file = await this.#file();
    } catch (problem) {
      this.#lookAgain(problem);
      return;
    }
    if (this.life.aborted) return;
    const wanted = file !== undefined && (!file.here || file.state === "done");
    this.element.hidden = !wanted;
    this.onShown(wanted);
    if (!file || !wanted) return;
    this.#show(file);
    if (file.state === "running") this.timer = setTimeout(() => this.refresh(), EVERY);
    else if (byUser && !file.here && !this.ask()) await this.#send("");
  }

  #buttons() {
    const start = make(
      "button",
      { type: "button", "data-do": "download", click: () => this.#send("") },
      t("download"),
    );
    const cancel = make(
      "button",
      { type: "button", "data-do": "cancel", click: () => this.#send("/cancel") },
      t("cancel"),
    );
    return { start, cancel };
  }

  /**
   * The host did not answer: what is shown stays, and it may answer yet.
   * @param {unknown} problem
   */
  #lookAgain(problem) {
    if (this.life.aborted || this.element.hidden) return;
    this.#tell(problem);
    this.timer = setTimeout(() => this.refresh(), AGAIN);
  }

  /** @param {unknown} problem */
  #tell(problem) {
    const reason = problem instanceof Error ? problem.message : String(problem);
    this.status.textContent = t("failed", { reason });
  }

  /** @returns {Promise<KnownFile | undefined>} what the host knows of the chosen file */
  async #file() {
    const name = nameIn(this.chosen());
    /** @type {KnownFile[]} */
    const files = await (await this.#ask(PATH)).json();
    return files.find((file) => file.name === name || file.aliases.includes(name));
  }

  /**
   * Ask the host; what it refuses is an error.
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async #ask(path, options) {
    const answer = await this.request(path, { ...options, signal: this.life });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer;
  }

  /** @param {KnownFile} file */
  #show(file) {
    const { name, bytes, done, state } = file;
    const running = state === "running";
    const size = bytes === null ? t("sizeUnknown") : `${megabytes(bytes)} MB`;
    this.title.textContent = file.here ? t("downloaded", { name }) : t("notHere", { name });
    this.detail.textContent = `${size} · ${t("licence", { licence: file.licence })}`;
    this.start.hidden = running || file.here;
    this.cancel.hidden = !running;
    this.bar.hidden = !running;
    if (bytes === null) this.bar.removeAttribute("value");
    else Object.assign(this.bar, { max: bytes, value: done });
    const total = bytes === null ? "?" : megabytes(bytes);
    if (running) this.status.textContent = t("downloading", { done: megabytes(done), total });
    else this.status.textContent = state === "failed" ? t("failed", { reason: file.reason }) : "";
  }

  /** @param {"" | "/cancel"} what */
  async #send(what) {
    /** @type {unknown} */
    let problem;
    try {
      const file = await this.#file();
      if (!file) return;
      const body = JSON.stringify({ name: file.name });
      const headers = { "Content-Type": "application/json" };
      await this.#ask(PATH + what, { method: "POST", headers, body });
    } catch (error) {
      problem = error;
    }
    await this.refresh();
    if (problem) this.#tell(problem);
  }
}

/**
 * The name of the file in an entry of a loader's list.
 * @param {string} entry
 */
function nameIn(entry) {
  return entry.startsWith(ENTRY) ? entry.slice(ENTRY.length).split(" | ")[0] : entry;
}

/** @param {number} bytes */
function megabytes(bytes) {
  return (bytes / MEGABYTE).toFixed(bytes < 10 * MEGABYTE ? 1 : 0);
}
