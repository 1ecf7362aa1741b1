// The table of jobs: searched, sorted, a page at a time, and changed many at once. The address has all of it.

import { $, busy, counting, fill, h, post, show } from "./dom.js";
import * as maker from "./maker.js";
import * as panel from "./panel.js";
import { go, read } from "./route.js";

const ASKED = ["status", "type", "q", "sort", "page"];
const ALWAYS = ["all", "failed", "pending", "running", "paused", "completed", "cancelled"];
const STATES = ["all", "failed", "late", "stuck", "waiting", "unreadable", "pending", "running", "paused", "completed", "cancelled"];
const COMMANDS = { run: "Run now", retry: "Retry", resume: "Resume", pause: "Pause", cancel: "Cancel" };
const PAUSE = 250; // milliseconds after the last key
let about;
let refresh;
let shown = { jobs: [], total: 0 };
let isAnew = false;
let isAll = false; // all that match are selected, on other pages too
let of; // the conditions under which jobs were selected
const selected = new Set();

const asked = () => Object.fromEntries(ASKED.map(name => [name, read().params.get(name) ?? ""]).filter(([, value]) => value));
const turn = (params, how) => go({ params: { page: "", ...params } }, how);

export const path = () => `/api/jobs?${new URLSearchParams({ ...asked(), ...(isAnew && { anew: 1 }) })}`;

export function start(given, again) {
  [about, refresh] = [given, again];
  const search = $("#search");
  let timer;
  search.value = asked().q ?? "";
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => turn({ q: search.value.trim() }, { replace: true }), PAUSE);
  });
  $("#of-type").addEventListener("change", event => turn({ type: event.target.value }));
  $("#filters").addEventListener("change", event => turn({ status: event.target.value === "all" ? "" : event.target.value }));
  for (const button of document.querySelectorAll("[data-sort]")) button.addEventListener("click", () => sort(button.dataset.sort));
  $("#previous").addEventListener("click", () => turnPage(shown.page - 1));
  $("#next").addEventListener("click", () => turnPage(shown.page + 1));
  $("#read-again").addEventListener("click", event => busy(event.target, readAgain, () => {}));
  $("#read-again").hidden = !about.is_billed;
  startSelection();
  maker.start(about, refresh);
}

function turnPage(page) {
  go({ params: { page: page > 1 ? page : "" } });
  scrollTo(0, 0);
}

function sort(name) {
  const present = asked().sort ?? "next";
  turn({ sort: present === name ? `-${name}` : name === "next" ? "" : name });
}

async function readAgain() {
  isAnew = true;
  try {
    await refresh();
  } finally {
    isAnew = false;
  }
}

export function update(data) {
  shown = data;
  const { jobs, total, page, pages, counts, types, whole_at } = data;
  const query = asked();
  const condition = JSON.stringify([query.status, query.type, query.q]);
  if (condition !== of) clear(); // nothing out of sight stays selected
  of = condition;
  fill($("#rows"), jobs, row);
  $("#rows").parentElement.hidden = !jobs.length;
  showNothing(total, query);
  showFilters(counts, query);
  showSort(query.sort ?? "next");
  fill($("#of-type"), ["", ...types], name => h("option", { value: name }, name || "every type"));
  $("#of-type").value = query.type ?? "";
  if (document.activeElement !== $("#search")) $("#search").value = query.q ?? "";
  const first = (page - 1) * data.page_size;
  $("#turn").hidden = pages < 2;
  $("#where").textContent = `${first + 1} to ${first + jobs.length} of ${total}`;
  $("#previous").disabled = page <= 1;
  $("#next").disabled = page >= pages;
  const notes = [`${total} job${total === 1 ? "" : "s"}`, about.is_billed && ["all read ", counting(whole_at)], `times in ${about.timezone}, or as the schedule says`];
  fill($("#jobs-note"), notes.filter(Boolean), (note, at = notes.indexOf(note)) => h("span", {}, at > 0 && "; ", note));
  showSelection();
}

function showNothing(total, query) {
  const isNarrowed = query.status || query.type || query.q;
  $("#no-jobs").hidden = total > 0;
  const words = isNarrowed ? "No job matches." : about.is_read_only
    ? "No jobs yet. People create them in Chat, and you with: watchkeeper jobs add"
    : "No jobs yet. Create one with New job, or with a reminder in Chat.";
  const all = () => h("button", { onclick: () => turn({ status: "", type: "", q: "" }) }, "Show all jobs");
  fill($("#no-jobs"), total ? [] : [words], text => h("div", {}, h("p", {}, text), isNarrowed && h("div.actions", {}, all())));
}

function showFilters(counts, { status = "all" }) {
  const names = STATES.filter(name => ALWAYS.includes(name) || counts[name] || name === status);
  fill($("#filters-of"), names.map(name => [name, counts[name] ?? 0]), ([name, count]) => h("label", {},
    h("input", { type: "radio", name: "status", value: name, "data-focus": `status ${name}` }),
    h(count ? "span" : "span.none", {}, `${name} `, h("b", {}, count)),
  ));
  for (const input of document.querySelectorAll("#filters-of input")) input.checked = input.value === status;
}

function showSort(sort) {
  for (const button of document.querySelectorAll("[data-sort]")) {
    const isBy = sort.replace("-", "") === button.dataset.sort;
    const order = isBy ? (sort.startsWith("-") ? "descending" : "ascending") : "none";
    button.closest("th").setAttribute("aria-sort", order);
  }
}

function row({ id, title, type, status, schedule, ready_at, next, ran_at, ran, attempts, in_a_row, lease_until, queue, queued_at, error }) {
  const open = h("button.name", { dir: "auto", "data-focus": `row ${id}`, onclick: () => panel.open(id) }, title);
  const held = queue ? ["handed over ", counting(queued_at), h("small", {}, `waiting in queue ${queue}`)] : ["running", h("small", {}, "lease ends ", counting(lease_until))];
  const coming = ready_at ? [counting(ready_at, next), h("small", {}, next)] : lease_until ? held : ran_at ? ["ran ", counting(ran_at, ran), h("small", {}, ran)] : "–";
  const box = h("input", { type: "checkbox", "aria-label": `Select ${id}`, "data-id": id, "data-focus": `select ${id}` });
  return h("tr", { onclick: event => event.target.closest("button, input, .pick") || panel.open(id) },
    !about.is_read_only && h("td.pick", {}, box),
    h("td.what", {}, open, h("small", {}, [id, type].filter(Boolean).join(" · ")), error && h("small.problem", {}, error)),
    h("td.wide", {}, schedule), h("td.next", {}, coming),
    h("td.wide", {}, !attempts.startsWith("0") ? attempts : in_a_row ? `${in_a_row} in a row` : h("span.soft", {}, "none")), h("td", {}, h(`span.status.${queue ? "queued" : status}`, {}, queue ? "waiting" : status)),
  );
}

// -- many at once -----------------------------------------------------------------------------------------------------

function startSelection() {
  $("#pick-head").hidden = about.is_read_only;
  $("#rows").addEventListener("change", ({ target }) => {
    isAll = false;
    target.checked ? selected.add(target.dataset.id) : selected.delete(target.dataset.id);
    showSelection();
  });
  $("#pick-all").addEventListener("change", ({ target }) => {
    isAll = false;
    for (const { id } of shown.jobs) target.checked ? selected.add(id) : selected.delete(id);
    showSelection();
  });
  $("#all-matching").addEventListener("click", () => {
    isAll = true;
    showSelection();
  });
  $("#none").addEventListener("click", clear);
  $("#commands").append(...Object.entries(COMMANDS).map(([name, label]) => h(name === "cancel" ? "button.danger" : "button", {
    onclick: event => busy(event.target, () => command(name, label), problem => show($("#many-problem"), problem.message)),
  }, label)));
}

function clear() {
  isAll = false;
  selected.clear();
  show($("#many-problem"), "");
  showSelection();
}

function showSelection() {
  const here = shown.jobs.map(({ id }) => id);
  if (isAll) for (const id of here) selected.add(id);
  for (const box of document.querySelectorAll("#rows [data-id]")) box.checked = selected.has(box.dataset.id);
  const onPage = here.filter(id => selected.has(id)).length;
  $("#pick-all").checked = onPage > 0 && onPage === here.length;
  $("#pick-all").indeterminate = onPage > 0 && onPage < here.length;
  const count = isAll ? shown.total : selected.size;
  $("#many").hidden = !count;
  $("#many-count").textContent = `${count} selected`;
  $("#all-matching").hidden = isAll || onPage < here.length || shown.total <= here.length;
  $("#all-matching").textContent = `Select all ${shown.total} that match`;
}

async function command(name, label) {
  const count = isAll ? shown.total : selected.size;
  if (name === "cancel" && !confirm(`Cancel ${count} job${count === 1 ? "" : "s"}? Their schedules end.`)) return;
  const { done, refused } = await post(`/api/all/${name}`, isAll ? { matching: asked(), digest: shown.digest } : { ids: [...selected] });
  const left = Object.entries(refused);
  clear();
  for (const [id] of left) selected.add(id);
  showSelection();
  const why = left.length ? ` ${left.length} refused it and stay selected, the first because: ${left[0][1]}.` : "";
  $("#many-done").textContent = `${label}: ${done} of ${count} done.${why}`;
  await refresh();
}
