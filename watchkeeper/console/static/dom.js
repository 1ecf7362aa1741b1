// Elements, times, and calls to the server. All text becomes text nodes: content of jobs and messages is shown and never
// run.

import { go, read } from "./route.js";

export const $ = (selector, within = document) => within.querySelector(selector);

/** Make an element: h("button.primary", {onclick}, "Text", child). Absent attributes and children are left out. */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child || child === 0));
  return element;
}

/** Fill a parent with an element per item. An element with an unchanged item stays, with its focus and its input. */
export function fill(parent, items, make) {
  const present = new Map([...parent.children].map(child => [child.dataset.item, child]));
  const held = document.activeElement?.dataset.focus;
  const wanted = items.map(item => {
    const key = JSON.stringify(item);
    const element = present.get(key) ?? make(item);
    present.delete(key);
    element.dataset.item = key;
    return element;
  });
  for (const child of [...parent.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((element, at) => {
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] ?? null);
  });
  if (held && document.activeElement?.dataset.focus !== held) $(`[data-focus="${CSS.escape(held)}"]`, parent)?.focus();
  countTimes();
}

export const link = (href, ...children) => h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children);

export function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

// -- times ------------------------------------------------------------------------------------------------------------

let ahead = 0; // of the server's clock

export const now = () => Date.now() + ahead;
export const setNow = iso => (ahead = Date.parse(iso) - Date.now());

/** Return a time that updates itself: "in 42 s", "3 min ago". */
export const counting = (iso, title) => h("time", { datetime: iso, title, "data-counts": "" }, distance(iso));

function distance(iso) {
  const seconds = Math.round((Date.parse(iso) - now()) / 1000);
  const length = span(Math.abs(seconds));
  return seconds > 0 ? `in ${length}` : seconds === 0 ? "now" : `${length} ago`;
}

function span(seconds) {
  for (const [unit, size] of [["days", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}

export function countTimes() {
  for (const time of document.querySelectorAll("[data-counts]")) time.textContent = distance(time.dateTime);
}

// -- the server -------------------------------------------------------------------------------------------------------

const TOKEN = "watchkeeper-token";

/** Keep the token of the address for this tab, and take it out of the address, where others could read it. */
export function keepToken() {
  const token = read().params.get("token");
  if (!token) return;
  sessionStorage.setItem(TOKEN, token);
  go({ params: { token: "" } }, { replace: true });
}

export const get = path => ask(path, {});
export const post = (path, body = {}) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function ask(path, options) {
  let response, body;
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token && { "X-Watchkeeper-Token": token }) };
  try {
    response = await fetch(path, { ...options, headers });
    body = await response.json();
  } catch {
    throw new Error("The console does not respond. If you stopped it, start it again; this page then reconnects by itself.");
  }
  if (response.ok) return body;
  throw Object.assign(new Error(body.error ?? `HTTP ${response.status}`), { status: response.status, errors: body.errors });
}

/** Run an action while its button is busy; pass an error to `fails`. */
export async function busy(button, act, fails) {
  button.disabled = true;
  try {
    await act();
  } catch (problem) {
    fails(problem);
  } finally {
    button.disabled = false;
  }
}
