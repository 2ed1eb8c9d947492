// What the admin door is asked, and the two dialogs that ask first.

import { element } from "./marks.js";

export async function ask(path, method = "GET", body = undefined) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? `${path}: ${answer.status}`);
  return told;
}

export function complain(error) {
  const place = document.getElementById("problem");
  place.textContent = String(error.message ?? error);
  setTimeout(() => (place.textContent = ""), 8000);
}

// Resolves to the fields' values, or null when it was not confirmed.
export function confirmed(title, text, fields = []) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-fields").replaceChildren(...fields.map(([name, label, input]) => {
    input.name = name;
    return element("label", {}, [`${label} `, input]);
  }));
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const values = Object.fromEntries(new FormData(document.getElementById("ask-form")));
      resolve(dialog.returnValue === "yes" ? values : null);
    }, { once: true });
  });
}
