// What happened, one sentence an event, as it happens.

import { at, el, said } from "./text.js";

export const TITLE = "Journal";

const [EVERY_MS, SHOWN, AT_ONCE] = [1_000, 500, 500];

export function open(place, page) {
  const text = el("input", { type: "search", placeholder: "device, request, word", id: "words" });
  const only = el("input", { type: "checkbox", id: "only" });
  const follow = el("input", { type: "checkbox", checked: true, id: "follow" });
  const rows = el("ol.rows", { "aria-label": "Events, newest first" });
  const problem = el("p.bad", { role: "alert" });
  place.append(el("h2", {}, "Journal"),
    el("div.filters", {}, el("label", {}, "Show ", text), el("label", {}, only, " only what was turned away or not in order"), el("label", {}, follow, " follow")),
    problem, rows);
  let [cursor, lines, timer, closed] = [undefined, [], undefined, false];

  const shows = (line) =>
    (!only.checked || line.warn) && (!text.value || `${line.seq} ${line.event} ${line.message}`.toLowerCase().includes(text.value.toLowerCase()));
  const row = (line) =>
    el(`li${line.warn ? ".warn" : ""}`, {}, el("span.seq", {}, String(line.seq)), at(line.at), el("span", {}, line.event), said(line.message, 2_000));
  const redraw = () => rows.replaceChildren(...lines.filter(shows).slice(0, SHOWN).map(row));

  async function read() {
    try {
      const got = await page.call("logs.tail", cursor === undefined ? { limit: AT_ONCE } : { cursor, limit: AT_ONCE });
      if (closed) return;
      problem.replaceChildren();
      cursor = got.cursor;
      const fresh = got.lines.map((line) => JSON.parse(line)).map(({ seq, time, event, message, _meta }) => ({ seq, at: Date.parse(time), event, message, warn: _meta.logLevelName === "WARN" }));
      if (got.reset) lines = [];
      lines = [...fresh.reverse(), ...lines].slice(0, SHOWN * 4);
      rows.prepend(...fresh.filter(shows).map(row));
      while (rows.children.length > SHOWN) rows.lastChild.remove();
    } catch (error) {
      if (!closed) problem.replaceChildren(`This cannot be shown: ${error.message}`);
    }
    if (!closed && follow.checked) timer = setTimeout(read, EVERY_MS);
  }

  text.addEventListener("input", redraw);
  only.addEventListener("change", redraw);
  follow.addEventListener("change", () => follow.checked && read());
  read();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
