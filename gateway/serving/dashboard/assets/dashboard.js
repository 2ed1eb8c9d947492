// One page over the admin door: facts once, then a frame a second by server-sent events.

import { element, legend, ms, percent } from "./marks.js";
import { WorldMap } from "./map.js";
import { overTime, distribution, candidates } from "./charts.js";
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
  table(at("decisions-table"), ["Ago", "Origin", "Model", "Center", "Predicted", ""], told.decisions.slice(0, 50).map((one) => [
    `${ms(one.seconds_ago, 0)} s`, one.table.query.vantage, one.table.query.model, one.decision.center, `${ms(one.decision.predicted_ms, 2)} ms`,
    element("button", { type: "button", onclick: () => explain(one), "aria-label": `explain request ${one.request_id}` }, ["Why"]),
  ]));
}

function explain(one) {
  const { aloud, rows, refused: out, notes } = one.table;
  const refused = out.map((row) => `${row.center}: ${row.refused_by.join(", ")}`);
  const actual = one.actual_ms === undefined || one.actual_ms === null ? "" : ` It took ${ms(one.actual_ms, 2)} ms.`;
  at("explain-title").textContent = `Request ${one.request_id}`;
  at("explain-body").replaceChildren(
    element("p", {}, [`${aloud}.${actual}`]),
    candidates(rows, one.decision.center),
    element("p", { class: "quiet" }, [refused.length ? `Not eligible: ${refused.slice(0, 20).join("; ")}${refused.length > 20 ? " …" : ""}` : "Every center was eligible."]),
    ...notes.map((words) => element("p", { class: "quiet" }, [words])),
  );
  at("explain").showModal();
}

start().catch(complain);
