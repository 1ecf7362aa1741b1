// The table of jobs, and the form that makes one.

import { $, busy, counting, fill, get, h, post, show } from "./dom.js";
import * as panel from "./panel.js";

const STATUSES = ["all", "pending", "running", "paused", "failed", "completed", "cancelled"];
const ASKED = ["when", "in", "at", "cron", "every", "timezone", "start", "until", "except_dates", "misfire", "grace", "pause_after_failures"];
let about;
let refresh;
let status = "";
let after = "";

export const path = () => `/api/jobs?${new URLSearchParams({ status, after })}`;

export function start(given, again) {
  [about, refresh] = [given, again];
  $("#filters").append(...STATUSES.map(name => h("label", {},
    h("input", { type: "radio", name: "status", checked: name === "all", onchange: () => turn(name === "all" ? "" : name, "") }),
    h("span", {}, name),
  )));
  $("#first-page").addEventListener("click", () => turn(status, ""));
  $("#new-job").addEventListener("click", openMaker);
  startMaker();
}

function turn(toStatus, toAfter) {
  [status, after] = [toStatus, toAfter];
  return refresh();
}

export function update({ jobs, more }) {
  fill($("#rows"), jobs, row);
  $("#rows").parentElement.hidden = !jobs.length;
  $("#no-jobs").hidden = jobs.length > 0;
  $("#no-jobs").textContent = status || after ? "No job matches." : about.is_read_only
    ? "No jobs yet. People create them in Chat, and you with: watchkeeper jobs add"
    : "No jobs yet. Create one with New job, or with a reminder in Chat.";
  $("#first-page").hidden = !after;
  $("#more").hidden = !more;
  $("#more").onclick = () => turn(status, more);
  const bound = more || after ? `${about.page} a page, by id` : "";
  const pace = about.is_billed && `read every ${about.poll_seconds} s while you look, since reads are billed`;
  $("#jobs-note").textContent = [bound, pace, `times in ${about.timezone}, or as the schedule says`].filter(Boolean).join("; ");
}

function row({ id, title, type, status, schedule, ready_at, next, attempts, lease_until, queue, queued_at, error }) {
  const open = h("button.name", { "data-focus": `row ${id}`, onclick: () => panel.open(id) }, title);
  const held = queue ? ["handed over ", counting(queued_at), h("small", {}, `waiting in queue ${queue}`)] : ["running", h("small", {}, "lease ends ", counting(lease_until))];
  const coming = ready_at ? [counting(ready_at, next), h("small", {}, next)] : lease_until ? held : "–";
  return h("tr", { onclick: event => event.target.closest("button") || panel.open(id) },
    h("td", {}, open, h("small", {}, [id, type].filter(Boolean).join(" · ")), error && h("small.problem", {}, error)),
    h("td.wide", {}, schedule), h("td", {}, coming),
    h("td.wide", {}, attempts.startsWith("0") ? h("span.soft", {}, "none") : attempts), h("td", {}, h(`span.status.${queue ? "queued" : status}`, {}, queue ? "waiting" : status)),
  );
}

// -- the form ---------------------------------------------------------------------------------------------------------

const maker = $("#maker");
const form = $("form", maker);
const field = name => form.elements[name];

function startMaker() {
  showTypes();
  field("timezone").value = about.timezone;
  $("#zones").append(...Intl.supportedValuesOf("timeZone").map(value => h("option", { value })));
  field("type").addEventListener("change", () => {
    field("payload").value = about.types.find(({ name }) => name === field("type").value).example;
    arrange();
  });
  form.addEventListener("input", arrange);
  $(".close", maker).addEventListener("click", () => maker.close());
  form.addEventListener("submit", event => {
    event.preventDefault();
    busy(event.submitter, make, problem => complain(problem.errors ?? {}, problem.errors ? "" : problem.message));
  });
  arrange();
}

function showTypes() {
  fill(field("type"), about.types.map(({ name }) => name), name => h("option", { value: name, selected: name === "log" }, name));
}

/** Show the form. Reloaded code may have added types. */
async function openMaker() {
  maker.showModal();
  try {
    about.types = (await get("/api/about")).types;
    showTypes();
  } catch (problem) {
    complain({}, problem.message);
  }
}

function values() {
  const all = Object.fromEntries(new FormData(form));
  delete all[all.type === "log" ? "payload" : "message"];
  return all;
}

async function make() {
  const { id } = await post("/api/jobs", values());
  complain({});
  maker.close();
  field("id").value = "";
  await turn("", "");
  $(`[data-focus="${CSS.escape(`row ${id}`)}"]`)?.focus();
}

/** Show the fields that apply, and a preview of the runs. */
async function arrange() {
  const { type, when, misfire } = Object.fromEntries(new FormData(form));
  const recurring = when === "cron" || when === "every";
  const needed = {
    message: type === "log", payload: type !== "log", timezone: when === "at" || recurring,
    recurring, grace: recurring && misfire === "skip",
  };
  for (const label of form.querySelectorAll("[data-for]")) {
    label.hidden = !(needed[label.dataset.for] ?? label.dataset.for === when);
  }
  const asked = values();
  const query = new URLSearchParams(ASKED.map(name => [name, asked[name] ?? ""]));
  try {
    const { words, runs, warnings, errors } = await get(`/api/preview?${query}`);
    if (JSON.stringify(asked) !== JSON.stringify(values())) return; // the person typed on
    complain(errors);
    fill($("#preview"), [...(words ? [{ words }] : []), ...runs, ...warnings.map(warning => ({ warning }))],
      ({ words, says, change, warning }) => words ? h("strong", {}, words) : warning ? h("em", {}, `Note: ${warning}.`)
        : h("span", {}, says, change && h("em", {}, change)));
  } catch (problem) {
    complain({}, problem.message);
  }
}

function complain(errors, otherwise = "") {
  for (const place of form.querySelectorAll("label small")) {
    const control = $("input, select, textarea", place.parentElement);
    show(place, errors[control.name] ?? "");
    control.setAttribute("aria-invalid", control.name in errors);
  }
  show($("#maker-problem"), otherwise);
}
