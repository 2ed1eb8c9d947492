// Two small charts: the parts of the time by second, and how long answers took.

import { svg, note, ms } from "./marks.js";

const PARTS = ["service", "queue", "gateway", "network"];
const KNOWN = new Set([...PARTS, "risk"]);
const HEIGHT = 200;
const LEFT = 48;
const BOTTOM = 22;

export function overTime(place, seconds, target) {
  const wide = width(place);
  const told = seconds.filter((second) => second.answers);
  const top = nice(Math.max(1, ...told.map((second) => Math.max(second.p99_ms, sum(second.parts)))));
  const step = (wide - LEFT) / seconds.length;
  const y = (value) => (HEIGHT - BOTTOM) * (1 - value / top);
  const bars = seconds.flatMap((second, k) => {
    if (!second.answers) return [];
    let low = 0;
    return PARTS.map((part) => {
      const from = low;
      low += second.parts[part];
      return svg("rect", { x: (LEFT + k * step).toFixed(1), width: Math.max(1, step - 1).toFixed(1), y: y(low).toFixed(1), height: Math.max(0, y(from) - y(low)).toFixed(1), class: part }, [
        note(`${seconds.length - k} s ago: ${part} ${ms(second.parts[part], 2)} ms of ${ms(sum(second.parts), 2)}; p99 ${ms(second.p99_ms)}; ${second.answers} answers`),
      ]);
    });
  });
  const line = seconds.map((second, k) => (second.answers ? `${LEFT + (k + 0.5) * step},${y(second.p99_ms).toFixed(1)}` : null)).filter(Boolean);
  draw(place, "time-title", wide, [
    ...axis(wide, top, y, "ms"),
    ...bars,
    svg("polyline", { points: line.join(" "), class: "p99" }),
    ...(target <= top ? [svg("line", { x1: LEFT, x2: wide, y1: y(target), y2: y(target), class: "target" })] : []),
    svg("text", { x: LEFT, y: HEIGHT - 6 }, [`${seconds.length} s ago`]),
    svg("text", { x: wide, y: HEIGHT - 6, "text-anchor": "end" }, ["now"]),
  ]);
}

export function distribution(place, { edges_ms, counts }, target) {
  const wide = width(place);
  const most = nice(Math.max(1, ...counts));
  const step = (wide - LEFT) / counts.length;
  const y = (value) => (HEIGHT - BOTTOM) * (1 - value / most);
  const bars = counts.map((count, k) =>
    svg("rect", { x: (LEFT + k * step + 1).toFixed(1), width: (step - 2).toFixed(1), y: y(count).toFixed(1), height: (HEIGHT - BOTTOM - y(count)).toFixed(1), class: `bin ${edges_ms[k] < target ? "in" : "out"}` }, [
      note(`${edges_ms[k]} ms to ${edges_ms[k + 1] ?? "above"}: ${count} answers`),
    ]),
  );
  const every = wide < 480 ? 4 : 2;
  const labels = edges_ms.map((edge, k) => (k % every ? null : svg("text", { x: (LEFT + k * step).toFixed(1), y: HEIGHT - 6, "text-anchor": "middle" }, [String(edge)]))).filter(Boolean);
  draw(place, "histogram-title", wide, [...axis(wide, most, y, "answers"), ...bars, ...labels]);
}

// The stacked cost of each candidate of one decision, under what was measured where it is known.
export function candidates(rows, pick, measured) {
  const bars = rows.slice(0, 10).map((row) => ({ who: `${row.center === pick ? "▸ " : ""}${row.city} (${row.center})`, parts: row.scorers_ms, sum: row.total_ms }));
  if (measured?.parts_ms) bars.unshift({ who: `measured (${measured.center})`, parts: measured.parts_ms, sum: measured.total_ms });
  const wide = 760;
  const left = 210;
  const scale = (wide - left - 70) / Math.max(0.1, ...bars.map((bar) => bar.sum ?? 0));
  const marks = bars.flatMap(({ who, parts, sum }, k) => {
    let x = left;
    const made = Object.entries(parts).map(([name, value]) => {
      const width = Math.max(0, (value ?? 0) * scale);
      const rect = svg("rect", { x: x.toFixed(1), y: 22 * k + 4, width: width.toFixed(1), height: 15, class: part(name) }, [note(`${name} ${ms(value, 2)} ms`)]);
      x += width;
      return rect;
    });
    return [svg("text", { x: left - 6, y: 22 * k + 16, "text-anchor": "end" }, [who]), ...made, svg("text", { x: (x + 5).toFixed(1), y: 22 * k + 16 }, [`${ms(sum, 2)} ms`])];
  });
  const words = bars.map(({ who, parts }) => `${who}: ${Object.entries(parts).map(([name, value]) => `${ms(value, 2)} ${name}`).join(" + ")}`);
  return svg("svg", { viewBox: `0 0 ${wide} ${22 * bars.length + 8}`, role: "img", "aria-label": words.join("; ") }, marks);
}

// The class that colours a part: a scorer we do not know is *other*.
export function part(name) {
  return KNOWN.has(name) ? name : "other";
}

// Drawn in the panel's own pixels, so that words have one size everywhere.
function width(place) {
  return Math.max(240, place.clientWidth);
}

function draw(place, title, wide, children) {
  place.replaceChildren(svg("svg", { viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", "aria-labelledby": title }, children));
}

function axis(wide, top, y, unit) {
  return [0, 0.5, 1].flatMap((share) => [
    svg("line", { x1: LEFT, x2: wide, y1: y(top * share), y2: y(top * share), class: "axis" }),
    svg("text", { x: LEFT - 4, y: y(top * share) + (share === 1 ? 11 : 4), "text-anchor": "end" }, [`${+(top * share).toPrecision(3)}${share === 1 && unit === "ms" ? " ms" : ""}`]),
  ]);
}

function sum(parts) {
  return PARTS.reduce((total, part) => total + parts[part], 0);
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].map((k) => k * power).find((k) => k >= value);
}
