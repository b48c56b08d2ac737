// Elements made of text. Whatever a client called itself goes through here, and nowhere through a parser of HTML.

const SVG = "http://www.w3.org/2000/svg";
const SVG_NAMES = new Set(["svg", "g", "path", "rect", "line", "text", "title", "circle"]);

/** An element with these properties: `on…` are listeners, and what is no property of it is an attribute. */
export function el(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const drawn = SVG_NAMES.has(tag);
  const node = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && !drawn) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

// Whatever hides, or turns the text around it.
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/gu;
const SHOWN_CHARS = 120;

/** What somebody said of itself: escaped, cut, and turned by nothing around it. */
export function said(text, most = SHOWN_CHARS) {
  if (!text) return undefined;
  const chars = [...String(text).slice(0, most * 2)];
  const cut = chars.slice(0, most).join("") + (chars.length > most || text.length > most * 2 ? "…" : "");
  return el("bdi.said", {}, cut.replace(HIDDEN, (char) => `\\u{${char.codePointAt(0).toString(16)}}`));
}

const ID = /\b([0-9a-f]{64})\b/;

/** A sentence of the gateway's, with the ids of devices as people compare them. */
export const sentence = (text, most = 2_000) =>
  el("span.sentence", {}, String(text).split(ID).map((part, i) => (i % 2 ? fingerprint(part) : said(part, most))));

const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const at = (ms) => el("time", { dateTime: new Date(ms).toISOString() }, date.format(ms));

/** How long ago by the gateway's clock, since this browser's may be wrong. */
export function ago(ms, now) {
  const seconds = Math.round((ms - now) / 1000);
  const [unit, size] = [["day", 86_400], ["hour", 3_600], ["minute", 60]].find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return el("time", { dateTime: new Date(ms).toISOString(), title: date.format(ms) }, relative.format(Math.round(seconds / size), unit));
}

/** A command to be typed on the gateway's host. */
export function command(text) {
  const copied = () => copy.replaceChildren("Copied");
  const onclick = () => navigator.clipboard.writeText(text).then(copied);
  const copy = el("button.quiet", { type: "button", "aria-label": `Copy ${text}`, onclick }, "Copy");
  return el("span.command", {}, el("code", {}, text), copy);
}

/** Scopes without their common beginning; those in `marked` are what is new. */
export const scopes = (names, marked = []) =>
  el("ul.scopes", { "aria-label": "Scopes" }, (names.length ? names : ["none"]).map((name) =>
    el(`li${marked.includes(name) ? ".new" : ""}`, {}, name.replace(/^operator\./, ""), marked.includes(name) && el("span.hidden", {}, " (new)"))));

/** The first and last of a key's digest, as people compare it. */
export const fingerprint = (id) => el("code.print", { title: id }, `${id.slice(0, 8)}…${id.slice(-8)}`);

/** Names and what they stand for. */
export const facts = (pairs) =>
  el("dl", {}, pairs.filter(Boolean).map(([name, ...value]) => [el("dt", {}, name), el("dd", {}, value)]));

/** The same side by side, to be compared. */
export const beside = (...pairs) =>
  el("dl.beside", {}, pairs.map(([name, ...value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

/** What happened, with the way to its record. */
export const happened = (seq, ms, message, ...more) =>
  el("li", {}, at(ms), " ", el("a", { href: `#journal/from/${seq}` }, `seq ${seq}`), " ", sentence(message), more);

/** How much the owner did that nobody said to have seen. */
export const unseen = (count) => `${count} ${count === 1 ? "act" : "acts"} of this host's owner that nobody said to have seen`;
