// One page over the admin door: facts once, then a frame a second by server-sent events.

import { element, legend, ms, percent } from "./marks.js";
import { WorldMap } from "./map.js";
import { overTime, distribution, candidates, part } from "./charts.js";
import { CentersTable, origins, plugins, models, table } from "./tables.js";
import { ask, complain } from "./admin.js";

const at = (id) => document.getElementById(id);

async function start() {
  const [facts, land] = await Promise.all([ask("/dashboard/facts"), ask("/dashboard/land.json")]);
  at("target").textContent = facts.target_ms;
  at("where").textContent = `${facts.centers.length} centers, version ${facts.version}`;
  legend(at("legend"), [
    ["center ok", "center: ok"], ["center slow", "slow or returning"], ["center ejected", "ejected"], ["center draining", "draining"],
    ["origin in", "origin in time"], ["origin edge", "on the knife's edge"], ["origin out", "late"],
  ]);
  legend(at("time-legend"), ["network", "gateway", "queue", "service", "p99", "target"].map((part) => [part, part]));
  const map = new WorldMap(at("map"), facts, land);
  const centers = new CentersTable(at("centers-table"), facts, at("filter"));
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-view]")) other.setAttribute("aria-pressed", String(other === button));
      map.show(button.dataset.view);
    });
  }
  at("refresh-decisions").addEventListener("click", () => decisions().catch(complain));
  decisions().catch(complain);
  listen((frame) => {
    verdict(frame, facts);
    origins(at("origins-table"), frame, facts);
    map.update(frame);
    centers.update(frame.centers);
    overTime(at("time"), frame.seconds, frame.verdict.target_ms);
    distribution(at("histogram"), frame.histogram, frame.verdict.target_ms);
    at("policy").textContent = plugins(at("plugins-table"), frame.gateway);
    models(at("models-table"), frame.gateway);
    events(frame.events);
  });
}

function listen(show) {
  const source = new EventSource("/dashboard/events");
  source.onopen = () => (at("live").textContent = "live");
  source.onerror = () => (at("live").textContent = "connection lost, trying again");
  source.onmessage = (message) => {
    const frame = JSON.parse(message.data);
    at("live").textContent = frame.gateway.ready ? "live" : "not ready";
    show(frame);
    document.body.dataset.frames = String(Number(document.body.dataset.frames ?? 0) + 1);
  };
}

function verdict({ verdict: told, gateway, seconds }, facts) {
  at("share").textContent = told.answers ? percent(told.share) : "–";
  at("share").className = `figure ${told.answers ? (told.low >= 0.95 ? "ok" : told.high < 0.95 ? "ejected" : "slow") : ""}`;
  at("interval").textContent = told.answers
    ? `95 % interval ${percent(told.low)} to ${percent(told.high)}, ${told.answers} answers, from ${told.origins} origins`
    : "no answers in the last minute";
  const lately = seconds.filter((second) => second.answers).slice(-5);
  const rate = lately.reduce((total, second) => total + second.answers, 0) / Math.max(1, lately.length);
  const rows = [
    ["Answers a second", rate.toFixed(0)],
    ["Median, last second", lately.length ? `${ms(lately.at(-1).p50_ms)} ms` : "–"],
    ["p99, last second", lately.length ? `${ms(lately.at(-1).p99_ms)} ms` : "–"],
    ["Origins surely in time", told.origins_in],
    ["Origins surely late", told.origins_out],
    ["Loop late, p99", gateway.loop?.late_p99_ms === undefined ? "–" : `${ms(gateway.loop.late_p99_ms)} ms`],
  ];
  at("figures").replaceChildren(...rows.flatMap(([words, value]) => [element("dt", {}, [words]), element("dd", {}, [String(value)])]));
  const names = told.knife_edge.slice(0, 8).map((vantage) => facts.origins[vantage].name);
  at("edge").textContent = names.length ? `On the knife's edge: ${names.join(", ")}${told.knife_edge.length > 8 ? " …" : ""}` : "";
}

function events(told) {
  const place = at("events");
  const last = Number(place.dataset.last ?? 0);
  const fresh = told.filter((event) => event.number > last);
  if (!fresh.length) return;
  place.dataset.last = String(fresh.at(-1).number);
  place.prepend(...fresh.reverse().map((event) =>
    element("p", {}, [element("time", {}, [new Date(1000 * event.time_s).toLocaleTimeString()]), event.text]),
  ));
  while (place.children.length > 200) place.lastElementChild.remove();
}

async function decisions() {
  const told = await ask("/decisions");
  at("decisions-note").textContent = `One in ${told.one_in} is kept whole; open one to see why.`;
  table(at("decisions-table"), ["Ago", "Origin", "Model", "Center", "Predicted", "Measured", ""], told.decisions.slice(0, 50).map((one) => [
    `${ms(one.seconds_ago, 0)} s`, one.table.query.vantage, one.table.query.model, one.decision.center, `${ms(one.decision.predicted_ms, 2)} ms`, took(one.measured),
    element("button", { type: "button", onclick: () => explain(one), "aria-label": `explain request ${one.request_id}` }, ["Why"]),
  ]));
}

// What the attempt took, to be held against the prediction: without the gateway's own part.
function took(measured) {
  return measured?.parts_ms ? `${ms(measured.total_ms - measured.parts_ms.gateway, 2)} ms` : "–";
}

function came(measured) {
  if (!measured) return "What came of it is not known.";
  const who = measured.center ?? "nobody";
  if (!measured.parts_ms) return `Answered by ${who}${measured.reason ? ` (${measured.reason})` : ""}.`;
  const late = measured.late_ms;
  const than = late === undefined || late === null ? `, by ${who}` : late > 0 ? `, ${ms(late, 2)} ms longer than predicted` : `, ${ms(-late, 2)} ms sooner than predicted`;
  return `It took ${ms(measured.total_ms, 2)} ms, ${ms(measured.parts_ms.gateway, 2)} of them in the gateway${than}.`;
}

function explain(one) {
  const { aloud, rows, refused: out, notes } = one.table;
  const refused = out.map((row) => `${row.center}: ${row.refused_by.join(", ")}`);
  const parts = element("p", { class: "legend" });
  const names = new Set([...Object.keys(rows[0]?.scorers_ms ?? {}), ...Object.keys(one.measured?.parts_ms ?? {})]);
  legend(parts, [...names].map((name) => [part(name), name === "risk" ? "risk (margin)" : name]));
  at("explain-title").textContent = `Request ${one.request_id}`;
  at("explain-body").replaceChildren(
    element("p", {}, [`${aloud}. ${came(one.measured)}`]),
    candidates(rows, one.decision.center, one.measured),
    parts,
    element("p", { class: "quiet" }, [refused.length ? `Not eligible: ${refused.slice(0, 20).join("; ")}${refused.length > 20 ? " …" : ""}` : "Every center was eligible."]),
    ...notes.map((words) => element("p", { class: "quiet" }, [words])),
  );
  at("explain").showModal();
}

start().catch(complain);
