// Attempts and refusals over time, so that a burst after an update is seen at a glance.

import { at, el, happened } from "./text.js";

export const TITLE = "Timeline";

const [WIDTH, HEIGHT, FOOT, BARS, BUSIEST] = [960, 240, 20, 96, 5];
const HOUR = 3_600_000;
const RANGES = [["all that is on record", 0], ["the last 30 days", 720 * HOUR], ["the last 7 days", 168 * HOUR], ["the last day", 24 * HOUR], ["the last hour", HOUR]];
/** From the ground upwards. */
const KINDS = [["admitted", "let in"], ["pairing", "waiting for approval"], ["refused", "refused otherwise"]];

export function open(place, page) {
  const range = el("select", { id: "range" }, RANGES.map(([text, ms]) => el("option", { value: ms }, text)));
  const shown = el("div");
  place.append(el("h2", {}, "Attempts and refusals"), el("label", {}, "Of ", range), shown);
  async function changed() {
    const since = Number(range.value) ? { sinceMs: Math.round(page.now() - range.value) } : {};
    try {
      shown.replaceChildren(...drawn(await page.call("audit.timeline", { bars: BARS, ...since })));
    } catch (error) {
      shown.replaceChildren(page.trouble(error));
    }
  }
  range.addEventListener("change", changed);
  changed();
  return { changed };
}

const total = (bar) => KINDS.reduce((sum, [kind]) => sum + bar[kind], 0);
const counted = (bar) => KINDS.filter(([kind]) => bar[kind]).map(([kind, text]) => `${bar[kind]} ${text}`).join(", ");

function drawn({ fromMs, untilMs, bars, marks }) {
  const most = Math.max(0, ...bars.map(total));
  if (!most) return [el("p", {}, "Nobody tried to connect in that time.")];
  const sum = Object.fromEntries(KINDS.map(([kind]) => [kind, bars.reduce((sum, bar) => sum + bar[kind], 0)]));
  const wide = WIDTH / bars.length;
  const picture = bars.flatMap((bar, i) => {
    let y = HEIGHT - FOOT;
    const parts = KINDS.filter(([kind]) => bar[kind]).map(([kind]) => {
      const height = Math.max(2, (bar[kind] / most) * (HEIGHT - 2 * FOOT));
      y -= height;
      return el(`rect.${kind}`, { x: i * wide, y, width: wide - 1, height });
    });
    return parts.length ? el("g", {}, el("title", {}, `${counted(bar)}, from ${new Date(bar.fromMs).toLocaleString()}`), parts) : [];
  });
  const x = (when) => ((when - fromMs) / Math.max(1, untilMs - fromMs)) * WIDTH;
  const edges = marks.map(({ atMs, event, message }) =>
    el("g", {}, el("title", {}, `${event}: ${message}`), el("path.mark", { d: `M${x(atMs)} ${FOOT}V${HEIGHT - FOOT}M${x(atMs) - 5} ${FOOT - 8}h10l-5 8z` })));
  const summary = `${counted(sum)}; at most ${most} in one bar.`;
  const busiest = bars.filter(total).sort((a, b) => total(b) - total(a)).slice(0, BUSIEST);
  return [
    el("ul.legend", { "aria-label": "Colours" },
      KINDS.map(([kind, text]) => el(`li.${kind}`, {}, text)), el("li.mark", {}, "start, or a change of settings or policy")),
    el("svg.chart", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `Attempts over time: ${summary}` },
      picture, edges, el("path.edge", { d: `M0 ${HEIGHT - FOOT}H${WIDTH}` })),
    el("p.why", {}, summary, " From ", at(fromMs), " to ", at(untilMs), "."),
    el("h3", {}, "Busiest"),
    el("ol.plain", {}, busiest.map((bar) =>
      el("li", {}, at(bar.fromMs), ": ", counted(bar), ". ", el("a", { href: `#journal/from/${bar.seq}` }, `The journal from seq ${bar.seq}`)))),
    ...(marks.length ? [el("h3", {}, "What changed"), el("ol.plain", {}, marks.toReversed().map(({ seq, atMs, message }) => happened(seq, atMs, message)))] : []),
  ];
}
