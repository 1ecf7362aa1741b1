// The form that makes a job: it shows the next runs as one types, and each error at its field.

import { $, busy, fill, get, h, post, show } from "./dom.js";
import { go } from "./route.js";

const ASKED = ["when", "in", "at", "cron", "every", "timezone", "start", "until", "except_dates", "misfire", "grace", "pause_after_failures"];
let about;
let refresh;

const maker = $("#maker");
const form = $("form", maker);
const field = name => form.elements[name];

export function start(given, again) {
  [about, refresh] = [given, again];
  $("#new-job").addEventListener("click", openMaker);
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
  go({ view: "jobs", id });
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
