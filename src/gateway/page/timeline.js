// Attempts and refusals over time, so that a burst after an update is seen at a glance.

import { at, el } from "./text.js";

export const TITLE = "Timeline";

const [WIDTH, HEIGHT, BARS, LINES] = [960, 240, 96, 5_000];
const MARKS = { GatewayStarted: "start", ConfigurationChanged: "setting", PolicyChanged: "policy", RollbackAccepted: "rollback" };

export function open(place, page) {
  const picture = el("div");
  const told = el("p.why");
  place.append(el("h2", {}, "Attempts and refusals"), picture, told);
  const read = async () => {
    const { lines } = await page.call("logs.tail", { limit: LINES, maxBytes: 1_000_000 });
    const events = lines.map((line) => JSON.parse(line)).map(({ time, event, message }) => ({ at: Date.parse(time), event, message }));
    draw(events);
  };

  function draw(events) {
    const attempts = events.filter(({ event }) => event === "ConnectionAdmitted" || event === "ConnectionRefused" || event === "AttemptsSuppressed");
    if (!attempts.length) return told.replaceChildren("Nobody tried to connect yet.");
    const [first, last] = [events[0].at, Math.max(events.at(-1).at, events[0].at + 1)];
    const size = (last - first + 1) / BARS;
    const bars = Array.from({ length: BARS }, () => ({ in: 0, out: 0 }));
    for (const { at: when, event, message } of attempts) {
      const bar = bars[Math.min(BARS - 1, Math.floor((when - first) / size))];
      if (event === "ConnectionAdmitted") bar.in += 1;
      else bar.out += event === "AttemptsSuppressed" ? parseInt(message, 10) || 1 : 1;
    }
    const most = Math.max(...bars.map((bar) => bar.in + bar.out));
    const x = (when) => ((when - first) / (last - first)) * WIDTH;
    const tall = (count) => (count / most) * (HEIGHT - 40);
    const wide = WIDTH / BARS;
    const drawn = bars.flatMap((bar, i) => {
      const [up, down] = [tall(bar.in), tall(bar.out)];
      const when = new Date(first + i * size).toLocaleString();
      return [
        bar.in && el("rect.in", { x: i * wide, y: HEIGHT - 20 - up, width: wide - 1, height: up }, el("title", {}, `${bar.in} let in, ${when}`)),
        bar.out && el("rect.out", { x: i * wide, y: HEIGHT - 20 - up - down, width: wide - 1, height: down }, el("title", {}, `${bar.out} turned away, ${when}`)),
      ];
    });
    const marks = events.filter(({ event }) => event in MARKS).map(({ at: when, event, message }) =>
      el("g", {}, el("title", {}, message), el("line.edge", { x1: x(when), x2: x(when), y1: 0, y2: HEIGHT - 20 }), el("text", { x: Math.min(x(when) + 3, WIDTH - 50), y: 12 }, MARKS[event])));
    const [lets, turns] = [bars.reduce((sum, bar) => sum + bar.in, 0), bars.reduce((sum, bar) => sum + bar.out, 0)];
    const summary = `${lets} let in and ${turns} turned away; at most ${most} in one bar.`;
    picture.replaceChildren(el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary }, drawn, marks));
    told.replaceChildren(summary, " From ", at(first), " to ", at(last), ".");
  }

  read().catch((error) => told.replaceChildren(`This cannot be shown: ${error.message}`));
  return {};
}
