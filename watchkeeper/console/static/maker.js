// The form that creates, edits and duplicates jobs. It shows the next runs while you type, and each error at its field.

import { $, busy, fill, get, h, post, show } from "./dom.js";
import { go } from "./route.js";

const TIMES = ["when", "in", "at", "cron", "every", "timezone", "start", "until", "except_dates", "misfire", "grace", "pause_after_failures"];
const PLACE = /line (\d+), column (\d+)/;
let about;
let refresh;
let edited = ""; // the id of the job that is edited
let before = {}; // the fields that it had
let isPlain = true; // the payload is a message and nothing else

const maker = $("#maker");
const form = $("form", maker);
const field = name => form.elements[name];

export function start(given, again) {
  [about, refresh] = [given, again];
  $("#new-job").addEventListener("click", () => openMaker("New job", "Create job"));
  $("#zones").append(...Intl.supportedValuesOf("timeZone").map(value => h("option", { value })));
  field("type").addEventListener("change", () => {
    isPlain = field("type").value === "log";
    field("payload").value = about.types.find(({ name }) => name === field("type").value)?.example ?? "{}";
    arrange();
  });
  form.addEventListener("input", arrange);
  $(".close", maker).addEventListener("click", () => maker.close());
  $("#go-to").addEventListener("click", goToMistake);
  form.addEventListener("submit", event => {
    event.preventDefault();
    busy(event.submitter, save, problem => {
      complain(problem.errors ?? {}, problem.errors ? "" : problem.message);
      $("[aria-invalid=true]", form)?.focus();
    });
  });
}

export const edit = async id => openMaker(`Edit ${id}`, "Save", await get(`/api/jobs/${encodeURIComponent(id)}/form`), id);
export const duplicate = async id =>
  openMaker(`Duplicate ${id}`, "Create job", { ...(await get(`/api/jobs/${encodeURIComponent(id)}/form`)), id: "" });

/** Show the form, empty or with the fields of a job. Reloaded code may have added types. */
async function openMaker(title, does, fields = { type: "log", message: "hello" }, id = "") {
  form.reset();
  [edited, before] = [id, fields];
  $("#maker-title").textContent = title;
  $("#save").textContent = does;
  isPlain = "message" in fields;
  showTypes(fields.type);
  field("timezone").value = about.timezone;
  for (const [name, text] of Object.entries(fields)) field(name).value = text;
  complain({});
  fill($("#preview"), [], () => "");
  maker.showModal();
  field(edited ? (isPlain ? "message" : "payload") : "type").focus();
  arrange();
  try {
    about.types = (await get("/api/about")).types;
    showTypes(field("type").value);
  } catch (problem) {
    complain({}, problem.message);
  }
}

/** Offer the types, also that of a job whose handler is not registered here. */
function showTypes(chosen) {
  const names = about.types.map(({ name }) => name);
  fill(field("type"), [...names, ...(names.includes(chosen) ? [] : [chosen])], name => h("option", { value: name }, name));
  field("type").value = chosen;
}

function values() {
  const all = Object.fromEntries(new FormData(form));
  delete all[isPlain ? "payload" : "message"];
  return all;
}

async function save() {
  const fields = values();
  const { id } = await post(edited ? `/api/jobs/${encodeURIComponent(edited)}/edit` : "/api/jobs", fields);
  maker.close();
  if (edited) return refresh();
  go({ view: "jobs", id });
}

/** Move the cursor to the JSON error in the payload. */
function goToMistake() {
  const [, line, column] = PLACE.exec($("#go-to").dataset.says).map(Number);
  const lines = field("payload").value.split("\n");
  const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  field("payload").focus();
  field("payload").setSelectionRange(at, at + 1);
}

/** Show the fields that apply, and a preview of the runs. */
async function arrange() {
  const { when, misfire } = Object.fromEntries(new FormData(form));
  const recurring = when === "cron" || when === "every";
  const needed = {
    new: !edited, message: isPlain, payload: !isPlain, timezone: when === "at" || recurring,
    recurring, grace: recurring && misfire === "skip",
  };
  for (const label of form.querySelectorAll("[data-for]")) {
    label.hidden = !(needed[label.dataset.for] ?? label.dataset.for === when);
  }
  const asked = values();
  const stays = edited && TIMES.every(name => (before[name] ?? "") === asked[name]);
  try {
    const { errors, ...shown } = await post("/api/preview", asked);
    const { words, runs, warnings } = stays ? { words: "The schedule stays as it is.", runs: [], warnings: [] } : shown;
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
  $("#go-to").hidden = !PLACE.test(errors.payload);
  $("#go-to").dataset.says = errors.payload ?? "";
}
