// Rows of things to decide on: while somebody points at them or stands in them, none of them moves.

/** What changes all day and is nothing to decide on. */
const ASIDE = new Set(["ts", "attempts", "expiresAtMs", "message", "connected", "lastSeenAtMs", "lastUsedAtMs"]);
const DEAD_MS = 500;

export class Rows {
  #place;
  #key;
  #render;
  #rows = new Map();

  /** `render(entry)` gives a `node`, and `refresh(entry)` for what changes all day. */
  constructor(place, key, render) {
    this.#place = place;
    this.#key = key;
    this.#render = render;
  }

  /** Shows these entries, in their order unless that would move one that is pointed at; then new ones come last. */
  show(entries) {
    const there = new Set();
    for (const entry of entries) {
      const key = this.#key(entry);
      there.add(key);
      const [row, text] = [this.#rows.get(key), JSON.stringify(entry, (name, value) => (ASIDE.has(name) ? undefined : value))];
      if (row?.text === text) {
        row.refresh(entry);
        continue;
      }
      const made = this.#render(entry);
      made.refresh(entry);
      row ? replace(row.node, made.node) : this.#place.append(made.node);
      this.#rows.set(key, { ...made, text });
      rest(made.node);
    }
    for (const [key, { node }] of this.#rows) {
      if (there.has(key)) continue;
      this.#rows.delete(key);
      over(node);
    }
    if (!this.#place.matches(":hover, :focus-within")) this.#sort(entries);
  }

  #sort(entries) {
    let next = null;
    for (const { node } of entries.map((entry) => this.#rows.get(this.#key(entry))).reverse()) {
      if (node.nextElementSibling !== next) {
        this.#place.insertBefore(node, next);
        rest(node);
      }
      next = node;
    }
  }
}

/** Puts a row in another's place, and the focus where it was. */
function replace(old, node) {
  const held = old.contains(document.activeElement) && document.activeElement.textContent;
  old.replaceWith(node);
  if (held !== false) [...node.querySelectorAll("a, button")].find((part) => part.textContent === held)?.focus();
}

/** Keeps what decides from being clicked before it can have been read. */
function rest(node) {
  const buttons = [...node.querySelectorAll("button.decides:not(:disabled)")];
  buttons.forEach((button) => button.setAttribute("aria-disabled", "true"));
  const stop = (event) => event.target.closest("button.decides") && event.stopImmediatePropagation();
  node.addEventListener("click", stop, { capture: true });
  setTimeout(() => {
    node.removeEventListener("click", stop, { capture: true });
    buttons.forEach((button) => button.removeAttribute("aria-disabled"));
  }, DEAD_MS);
}

/** A row that is over stays, without effect, for as long as it is pointed at. */
function over(node) {
  node.classList.add("over");
  node.querySelectorAll("button").forEach((button) => (button.disabled = true));
  if (!node.matches(":hover")) return node.remove();
  node.addEventListener("pointerleave", () => node.remove(), { once: true });
}
