// Elements made of text. Whatever a client called itself goes through here, and nowhere through a parser of HTML.

const SVG = "http://www.w3.org/2000/svg";
const SVG_NAMES = new Set(["svg", "g", "path", "rect", "line", "text", "title", "circle"]);

/** An element with these properties: `on…` are listeners, `class` and what has a dash or stands in SVG are attributes. */
export function el(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = SVG_NAMES.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && !key.includes("-") && !SVG_NAMES.has(tag)) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

// Control characters and those that hide or turn the text around them (as the gateway's own logs escape them).
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const SHOWN_CHARS = 120;

/** What somebody said of itself: escaped, cut, and turned by nothing around it. */
export function said(text, most = SHOWN_CHARS) {
  if (!text) return undefined;
  const chars = [...String(text).slice(0, most * 2)];
  const cut = chars.slice(0, most).join("") + (chars.length > most || text.length > most * 2 ? "…" : "");
  const shown = cut.replace(HIDDEN, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
  return el("bdi", { class: "said" }, shown);
}

const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const at = (ms) => el("time", { dateTime: new Date(ms).toISOString(), title: date.format(ms) }, date.format(ms));

/** How long ago by the gateway's clock, since this browser's may be wrong. */
export function ago(ms, now) {
  const seconds = Math.round((ms - now) / 1000);
  const [unit, size] = [["day", 86_400], ["hour", 3_600], ["minute", 60]].find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return el("time", { dateTime: new Date(ms).toISOString(), title: date.format(ms) }, relative.format(Math.round(seconds / size), unit));
}

export const command = (text) =>
  el("span.command", {}, el("code", {}, text), el("button.quiet", { type: "button", onclick: () => navigator.clipboard.writeText(text), "aria-label": `Copy ${text}` }, "Copy"));

/** Scopes without their common beginning; those in `marked` are what is new. */
export const scopes = (names, marked = []) =>
  el("ul.scopes", { "aria-label": "Scopes" }, (names.length ? names : ["none"]).map((name) =>
    el(`li${marked.includes(name) ? ".new" : ""}`, {}, name.replace(/^operator\./, ""), marked.includes(name) && el("span.hidden", {}, " (new)"))));

/** The first and last of a key's digest, as people compare it. */
export const fingerprint = (id) => el("code.print", { title: id }, `${id.slice(0, 8)}…${id.slice(-8)}`);
