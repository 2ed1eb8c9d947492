// Small makers of elements: everything that comes from outside is text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, children = []) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function note(text) {
  return svg("title", {}, [text]);
}

export function ms(value, digits = 1) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

// A legend: [class, words] each.
export function legend(place, entries) {
  place.replaceChildren(
    ...entries.map(([kind, words]) =>
      element("span", {}, [svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, [sign(kind)]), words]),
    ),
  );
}

function sign(kind) {
  if (kind.startsWith("center")) return svg("circle", { cx: 6, cy: 6, r: 5, class: kind });
  if (kind.startsWith("origin")) return svg("circle", { cx: 6, cy: 6, r: 4, class: kind });
  if (kind === "p99" || kind === "target") return svg("line", { x1: 0, x2: 12, y1: 6, y2: 6, class: kind });
  return svg("rect", { x: 1, y: 1, width: 10, height: 10, class: kind });
}
