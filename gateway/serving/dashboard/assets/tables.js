// Tables: centers (sorted, filtered, with levers), plugins, models, decisions.

import { element, ms, percent } from "./marks.js";
import { ask, complain, confirmed } from "./admin.js";
import { showCard } from "./card.js";

const COLUMNS = [
  ["center", "Center"], ["city", "City"], ["health", "Health"], ["in_flight", "In flight", 0], ["slots", "Slots", 0],
  ["queue_ms", "Queue ms", 2], ["speed", "Speed", 2], ["error_rate", "Errors", 3], ["answers", "Answers", 0],
];

const MEASURED = new Set(["slow", "delay", "loss", "error"]); // faults that have a size

export class CentersTable {
  constructor(table, facts, filter) {
    this.table = table;
    this.facts = facts;
    this.filter = filter;
    this.sorted = ["answers", -1];
    this.body = element("tbody");
    filter.addEventListener("input", () => this.draw());
    this.head();
  }

  head() {
    const cells = COLUMNS.map(([key, words, digits]) => {
      const [by, way] = this.sorted;
      const sort = by === key ? (way > 0 ? "ascending" : "descending") : "none";
      const sign = by === key ? (way > 0 ? " ▲" : " ▼") : "";
      return element("th", { scope: "col", "aria-sort": sort, class: digits === undefined ? "" : "number" }, [
        element("button", { type: "button", onclick: () => this.sort(key) }, [words + sign]),
      ]);
    });
    const more = ["Why", "Levers"].map((words) => element("th", { scope: "col" }, [words]));
    this.table.replaceChildren(element("thead", {}, [element("tr", {}, [...cells, ...more])]), this.body);
  }

  sort(key) {
    this.sorted = [key, this.sorted[0] === key ? -this.sorted[1] : 1];
    this.head();
    this.draw();
    this.table.querySelectorAll("th button")[COLUMNS.findIndex(([k]) => k === key)].focus();
  }

  update(centers) {
    this.rows = this.facts.centers.map((fact, row) => ({
      ...fact,
      center: fact.id,
      row,
      ...Object.fromEntries(Object.entries(centers).filter(([, v]) => Array.isArray(v)).map(([name, values]) => [name, values[row]])),
      reason: centers.reasons[row] ?? "",
      faults: centers.faults[row] ?? [],
    }));
    this.draw();
  }

  draw() {
    if (!this.rows) return;
    const [by, way] = this.sorted;
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = this.rows.filter((row) => !wanted || `${row.center} ${row.city} ${row.region} ${row.health}`.toLowerCase().includes(wanted));
    shown.sort((a, b) => way * (a[by] > b[by] ? 1 : a[by] < b[by] ? -1 : 0) || a.row - b.row);
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    this.body.replaceChildren(...shown.map((row) => this.line(row)));
    if (focused) this.body.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  line(row) {
    const cells = COLUMNS.map(([key, , digits]) => {
      if (digits !== undefined) return element("td", { class: "number" }, [ms(row[key], digits)]);
      return element("td", { class: key === "health" ? row.health : "" }, [String(row[key])]);
    });
    const why = [row.reason, row.faults.length ? `injected: ${row.faults.join(", ")}` : ""].filter(Boolean).join("; ");
    const draining = row.health === "draining";
    const levers = [
      element("button", { type: "button", onclick: () => this.drain(row, !draining), "aria-label": `${draining ? "undrain" : "drain"} ${row.center}` }, [draining ? "Undrain" : "Drain"]),
    ];
    if (this.facts.faults) {
      levers.push(element("button", { type: "button", class: "danger", onclick: () => this.inject(row), "aria-label": `inject a fault at ${row.center}` }, ["Fault…"]));
      if (row.faults.length) levers.push(element("button", { type: "button", onclick: () => this.clear(row), "aria-label": `clear the faults of ${row.center}` }, ["Clear"]));
    }
    return element("tr", { "data-center": row.center }, [...cells, element("td", { class: "reason" }, [why]), element("td", {}, levers)]);
  }

  async drain(row, draining) {
    const words = draining ? "No new requests go there; those in flight end normally." : "It is in the choice again.";
    if (await confirmed(`${draining ? "Drain" : "Undrain"} ${row.center}?`, words)) await act(() => ask("/drain", "POST", { center: row.center, draining }));
  }

  async inject(row) {
    const kind = element("select", {}, this.facts.kinds.map((name) => element("option", { value: name }, [name])));
    const value = element("input", { type: "number", value: "1", min: "0", step: "any" });
    const given = await confirmed(`Inject a fault at ${row.center}?`, "Live requests meet it: use it on an emulated fleet only.", [
      ["kind", "Kind", kind], ["value", "Value (slow: times, delay: ms, loss and error: probability)", value],
    ]);
    if (!given) return;
    const fault = { center: row.center, kind: given.kind };
    if (MEASURED.has(given.kind)) fault.value = Number(given.value);
    await act(() => ask("/faults", "POST", fault));
  }

  async clear(row) {
    await act(() => ask(`/faults?center=${encodeURIComponent(row.center)}`, "DELETE"));
  }
}

async function act(work) {
  try {
    await work();
  } catch (error) {
    complain(error);
  }
}

export function table(place, headings, rows) {
  place.replaceChildren(
    element("thead", {}, [element("tr", {}, headings.map((words) => element("th", { scope: "col" }, [words])))]),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, [cell instanceof Node ? cell : String(cell)]))))),
  );
}

// Worst first: whoever looks wants to know where it is not.
export function origins(place, { origins: told, verdict }, facts) {
  const edge = new Set(verdict.knife_edge);
  const worst = [...told].sort((a, b) => a.share - b.share || b.answers - a.answers).slice(0, 100);
  table(place, ["Origin", "In time", "95 % interval", "Median"], worst.map((row) => [
    facts.origins[row.vantage].name,
    element("span", { class: edge.has(row.vantage) ? "slow" : row.share > 0.5 ? "ok" : "ejected" }, [percent(row.share, 0)]),
    `${percent(row.low, 0)} to ${percent(row.high, 0)}`, `${ms(row.p50_ms)} ms`,
  ]));
}

export function plugins(place, state) {
  table(place, ["Plugin", "Kind", "Calls", "Errors", "Mean µs", "Quarantine"], state.plugins.map((one) => [
    one.name, one.kind, one.calls, one.errors, one.calls ? ((1000 * one.used_ms) / one.calls).toFixed(1) : "–", one.quarantined ? one.why ?? "yes" : "",
  ]));
  const shadow = state.shadow ? ` Shadow ${state.shadow.policy}: agrees on ${percent(state.shadow.compared ? state.shadow.agreed / state.shadow.compared : 0)}.` : "";
  return `${state.policy_in_force.why}.${shadow}`;
}

export function models(place, state) {
  const focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  table(place, ["Model", "Run ms", "Answers", "Late, mean ms"], Object.entries(state.models).map(([name, model]) => {
    const known = state.prediction.by_model[name];
    const card = element("button", { type: "button", onclick: () => act(() => showCard(name)), "aria-label": `card of ${name}` }, [name]);
    return [card, ms(model.run_ms, 3), known?.answers ?? 0, known?.answers ? ms(known.late_ms / known.answers, 2) : "–"];
  }));
  if (focused) place.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}
