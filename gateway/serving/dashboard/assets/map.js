// Land, centers, origins and flows, by longitude and latitude.

import { svg, note, ms, percent } from "./marks.js";

const VIEWS = {
  china: { west: 72, east: 137, south: 16, north: 54 },
  world: { west: -170, east: 180, south: -50, north: 75 },
};
const WIDTH = 900;

export class WorldMap {
  constructor(place, facts, land) {
    this.place = place;
    this.facts = facts;
    this.land = land;
    this.show("china");
  }

  show(name) {
    this.view = VIEWS[name];
    const { west, east, south, north } = this.view;
    const middle = ((south + north) / 2) * (Math.PI / 180);
    this.scale = WIDTH / (east - west);
    this.stretch = 1 / Math.cos(middle);
    this.height = (north - south) * this.scale * this.stretch;
    this.unit = name === "world" ? 0.7 : 1;
    this.crowded = name === "world" || this.facts.centers.length > 200;
    this.flows = svg("g");
    this.origins = svg("g");
    this.centers = svg("g");
    this.names = svg("g", { "aria-hidden": "true" });
    const outline = this.land.map((ring) => `M${ring.map((p) => this.at(p[0], p[1]).join(",")).join("L")}Z`).join("");
    this.place.replaceChildren(
      svg("svg", { viewBox: `0 0 ${WIDTH} ${this.height.toFixed(0)}`, role: "img", "aria-labelledby": "map-title legend" }, [
        svg("path", { d: outline, class: "land" }),
        this.names,
        this.flows,
        this.origins,
        this.centers,
      ]),
    );
    this.marks = this.spread().map(([x, y], row) => {
      const center = this.facts.centers[row];
      const mark = svg("circle", { cx: x, cy: y, r: (center.core ? 7 : 5) * this.unit, class: "center ok", "data-center": center.id });
      this.centers.append(mark);
      return mark;
    });
    if (this.last) this.update(this.last);
  }

  at(lon, lat) {
    const { west, north } = this.view;
    return [+((lon - west) * this.scale).toFixed(1), +((north - lat) * this.scale * this.stretch).toFixed(1)];
  }

  // Centers of one city would cover one another: they stand in a ring around it.
  spread() {
    const at = this.facts.centers.map((c) => this.at(c.lon, c.lat));
    const cities = new Map();
    const named = []; // where names stand: one that would cover another is left out
    at.forEach((p, row) => cities.set(p.join(), [...(cities.get(p.join()) ?? []), row]));
    for (const rows of cities.values()) {
      const radius = rows.length < 2 ? 0 : Math.max(7, (rows.length * 11) / (2 * Math.PI)) * this.unit;
      const [x, y] = [at[rows[0]][0], at[rows[0]][1] + radius + 17];
      if (!this.crowded && !named.some(([u, v]) => Math.abs(u - x) < 56 && Math.abs(v - y) < 16)) {
        named.push([x, y]);
        this.names.append(svg("text", { x, y, class: "city" }, [this.facts.centers[rows[0]].city]));
      }
      if (!radius) continue;
      rows.forEach((row, k) => {
        const turn = (2 * Math.PI * k) / rows.length;
        at[row] = [+(at[row][0] + radius * Math.cos(turn)).toFixed(1), +(at[row][1] + radius * Math.sin(turn)).toFixed(1)];
      });
    }
    return at;
  }

  update(frame) {
    this.last = frame;
    const { centers, origins, flows, verdict } = frame;
    this.marks.forEach((mark, row) => {
      const center = this.facts.centers[row];
      const health = centers.health?.[row] ?? "ok";
      mark.setAttribute("class", `center ${health}`);
      const reason = centers.reasons[row] ? `: ${centers.reasons[row]}` : "";
      mark.replaceChildren(
        note(`${center.city} (${center.id}), ${health}${reason}; ${centers.in_flight?.[row] ?? 0} in flight, speed ${ms(centers.speed?.[row], 2)}`),
      );
    });
    const most = Math.max(1, ...flows.map((flow) => flow.answers));
    this.flows.replaceChildren(
      ...flows.map((flow) => {
        const from = this.facts.origins[flow.vantage];
        const mark = this.marks[flow.center];
        const [x1, y1] = this.at(from.lon, from.lat);
        const [x2, y2] = [+mark.getAttribute("cx"), +mark.getAttribute("cy")];
        const bend = 0.12;
        const [mx, my] = [(x1 + x2) / 2 + bend * (y2 - y1), (y1 + y2) / 2 - bend * (x2 - x1)];
        return svg("path", {
          d: `M${x1},${y1}Q${mx.toFixed(1)},${my.toFixed(1)} ${x2},${y2}`,
          class: `flow ${flow.p50_ms <= verdict.target_ms ? "in" : "out"}`,
          "stroke-width": (0.8 + 3 * Math.sqrt(flow.answers / most)).toFixed(1),
        }, [note(`${from.name} to ${this.facts.centers[flow.center].city}: ${flow.answers} answers, median ${ms(flow.p50_ms)} ms`)]);
      }),
    );
    const edge = new Set(verdict.knife_edge);
    this.origins.replaceChildren(
      ...origins.map((row) => {
        const from = this.facts.origins[row.vantage];
        const [cx, cy] = this.at(from.lon, from.lat);
        const kind = edge.has(row.vantage) ? "edge" : row.share > 0.5 ? "in" : "out";
        return svg("circle", { cx, cy, r: 4 * this.unit, class: `origin ${kind}` }, [
          note(`${from.name}: ${percent(row.share)} in time (${percent(row.low)} to ${percent(row.high)}), ${row.answers} answers, median ${ms(row.p50_ms)} ms`),
        ]);
      }),
    );
  }
}
