// A model's card: what its repository says of it, and its text, laid out but never taken as markup.

import { element } from "./marks.js";
import { ask } from "./admin.js";

export async function showCard(name) {
  const told = await ask(`/dashboard/models/${encodeURIComponent(name)}`);
  const runs = Object.entries(told.batches ?? {});
  const facts = [
    ["Industry", told.industry || "–"],
    ["Versions", told.versions.map((one) => `${one.version} ${one.state.toLowerCase()}${one.reason ? ` (${one.reason})` : ""}`).join(", ")],
    ["Latency class", told.latency_class],
    ["When time is short", told.smaller || "–"],
    ["Runs by batch size, at one center", runs.length ? runs.map(([size, count]) => `${size}: ${count}`).join(", ") : "none yet"],
  ];
  document.getElementById("explain-title").textContent = name;
  document.getElementById("explain-body").replaceChildren(
    element("p", {}, [told.description || "Nobody has described it."]),
    element("dl", { class: "facts" }, facts.flatMap(([words, value]) => [element("dt", {}, [words]), element("dd", {}, [String(value)])])),
    ...layOut(told.card || "It has no card."),
  );
  document.getElementById("explain").showModal();
}

// Headings, tables, lists and paragraphs of Markdown; whatever else is shown as it is written.
function layOut(text) {
  return text.split(/\n\s*\n/).map((block) => block.trim()).filter((block) => block && !block.startsWith("# ")).map((block) => {
    if (block.startsWith("|")) return tableOf(block.split("\n"));
    const heading = /^#+ (.*)$/.exec(block);
    if (heading) return element("h3", {}, [heading[1]]);
    if (block.startsWith("- ")) return element("ul", {}, block.slice(2).split(/\n- /).map((words) => element("li", {}, [plain(words)])));
    return element("p", {}, [plain(block)]);
  });
}

function plain(text) {
  return text.replaceAll("`", "").replace(/\s*\n\s*/g, " ");
}

function tableOf(lines) {
  const rows = lines.filter((line) => !/^\|[\s:|-]+\|$/.test(line)).map((line) => line.replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim().replaceAll("`", "")));
  const [head, ...body] = rows;
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": head.join(", ") }, [element("table", {}, [
    element("thead", {}, [element("tr", {}, head.map((words) => element("th", { scope: "col" }, [words])))]),
    element("tbody", {}, body.map((cells) => element("tr", {}, cells.map((words) => element("td", {}, [words]))))),
  ])]);
}
