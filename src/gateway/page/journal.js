// What happened, one sentence an event, as it happens.

import { at, el, sentence } from "./text.js";

export const TITLE = "Journal";

/** How often new ones are asked for, in milliseconds; how many are asked for at once, and kept. */
const [EVERY_MS, AT_ONCE, KEPT] = [1_000, 500, 5_000];

/** Behind the view's name may stand what to show: `#journal/<word>`, or from which record on: `#journal/from/<seq>`. */
export function open(place, page) {
  const [, word, from] = location.hash.split("/");
  const words = el("input", { type: "search", placeholder: "device, request, word", id: "words", value: word && word !== "from" ? word : "" });
  const kind = el("select", { id: "kind" }, el("option", { value: "" }, "everything"));
  const only = el("input", { type: "checkbox", id: "only" });
  const follow = el("input", { type: "checkbox", id: "follow", checked: word !== "from" });
  const rows = el("ol.rows", { "aria-label": "Events, newest first" });
  const older = el("button", { type: "button", disabled: true }, "Show older");
  const told = el("p.why", { role: "status" });
  place.append(el("h2", {}, TITLE),
    el("div.filters", {},
      el("label", {}, "Filter ", words), el("label", {}, "Kind ", kind),
      el("label", {}, only, " only what was turned away or is out of order"), el("label", {}, follow, " follow")),
    told, rows, el("div.acts", {}, older));
  let [cursor, lines, timer, reading, closed] = [word === "from" ? Number(from) - 1 : undefined, [], undefined, false, false];

  const shows = ({ seq, event, message, warn }) =>
    (!only.checked || warn) && (!kind.value || kind.value === event) && `${seq} ${event} ${message}`.toLowerCase().includes(words.value.toLowerCase());
  const row = (line) =>
    el(`li${line.warn ? ".warn" : ""}`, {}, el("span.seq", {}, String(line.seq)), at(line.at), el("span", {}, line.event), sentence(line.message));
  const sum = () => {
    older.disabled = !lines.length || lines.at(-1).seq <= 1;
    const text = lines.length ? `${rows.children.length} of ${lines.length} read, seq ${lines.at(-1).seq} to ${lines[0].seq}.` : "Nothing is on record.";
    // What is said anew is read out anew.
    if (told.textContent !== text) told.replaceChildren(text);
  };
  const redraw = () => {
    rows.replaceChildren(...lines.filter(shows).map(row));
    sum();
  };

  /** The lines behind a cursor, newest first. */
  async function ask(params) {
    const answer = await page.call("logs.tail", { limit: AT_ONCE, ...params });
    const fresh = answer.lines.map((line) => {
      const { seq, time, event, message, _meta } = JSON.parse(line);
      return { seq, at: Date.parse(time), event, message, warn: _meta.logLevelName === "WARN" };
    }).reverse();
    for (const { event } of fresh) {
      if (![...kind.options].some(({ value }) => value === event)) kind.append(el("option", { value: event }, event));
    }
    return { ...answer, fresh };
  }

  async function read() {
    clearTimeout(timer);
    if (reading) return;
    reading = true;
    try {
      const { fresh, ...answer } = await ask(cursor === undefined ? {} : { cursor });
      if (closed) return;
      if (answer.reset) lines = [];
      cursor = answer.cursor;
      // Whoever looked further back keeps that.
      lines = [...fresh, ...lines].slice(0, Math.max(KEPT, lines.length));
      if (answer.reset) redraw();
      else rows.prepend(...fresh.filter(shows).map(row));
      while (rows.children.length > lines.length) rows.lastChild.remove();
      sum();
    } catch (error) {
      if (!closed) told.replaceChildren(page.trouble(error));
    }
    reading = false;
    if (!closed && follow.checked) timer = setTimeout(read, EVERY_MS);
  }

  older.addEventListener("click", async () => {
    const first = lines.at(-1).seq;
    try {
      const { fresh } = await ask({ cursor: Math.max(0, first - 1 - AT_ONCE) });
      lines = [...lines, ...fresh.filter(({ seq }) => seq < first)];
      redraw();
    } catch (error) {
      page.say(error.message);
    }
  });
  words.addEventListener("input", redraw);
  kind.addEventListener("change", redraw);
  only.addEventListener("change", redraw);
  follow.addEventListener("change", () => follow.checked && read());
  read();
  return {
    changed: read,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
