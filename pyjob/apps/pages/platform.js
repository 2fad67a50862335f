// The index of several jobs: asks for jobs every two seconds and shows them. It uses elements.js, and keeps its
// rules.
"use strict";

const EVERY = 2000; // ms from an answer to the next question

const STATES = {
  starting: ["warn", "Starting"],
  loading: ["warn", "Loading"],
  ready: ["ok", "Ready"],
  failed: ["bad", "Failed"],
  stuck: ["bad", "Stuck"],
  silent: ["bad", "No answer"],
  ended: ["bad", "Ended"],
};
const PAGES = {
  "Home": "", "Docs": "docs", "Status": "status", "Metrics": "metrics", "Health": "health", "OpenAPI": "openapi.json",
};

/** The addresses of a job's pages: relative to this page, which is at the root. */
function links({ name, version, latest, path }) {
  const base = `pub/job/${encodeURIComponent(name)}/`;
  const to = (end, label) => el("a", { href: `${base}${end}`, "aria-label": `${label} of ${name} ${version}` }, label);
  const pages = path ? Object.entries(PAGES).map(([label, page]) => to(`${encodeURIComponent(version)}/${page}`, label)) : [];
  return latest && path ? [...pages, to("latest/", "Latest")] : pages;
}

function ending({ state, exit_status: status }) {
  if (state !== "ended") return "";
  return status < 0 ? `by signal ${-status}` : `with status ${status}`;
}

function card(job) {
  const { name, version, state, error } = job;
  const [kind, title] = STATES[state] ?? ["bad", words(state)];
  const after = ending(job);
  // One that has ended answers at none of its pages.
  const pages = state === "ended" ? [] : links(job);
  return el("li", { class: "card" },
    el("div", { class: "title" },
      el("h2", {}, name, " ", el("span", { class: "version" }, version)),
      el("span", { class: `state ${kind}` }, after ? `${title} ${after}` : title)),
    error && [codeBlock(`Why ${name} is not ready`, error)],
    pages.length > 0 && el("p", { class: "pages" }, pages));
}

let shown = []; // what each card says: it stays while that is so, and keeps focus and selection

function showState(kind, text) {
  const state = byId("state");
  if (state.textContent === text) return;
  state.className = `state ${kind}`;
  state.textContent = text;
}

function show(body) {
  const jobs = list(body.jobs);
  const ready = jobs.filter(({ state }) => state === "ready").length;
  const bad = jobs.some(({ state }) => (STATES[state] ?? ["bad"])[0] === "bad");
  showState(bad ? "bad" : ready < jobs.length ? "warn" : "ok", `${ready} of ${jobs.length} ready`);
  document.title = `${ready} of ${jobs.length} jobs ready`;
  byId("pub-url").textContent = words(body.pub_url);
  const said = jobs.map((job) => JSON.stringify(job));
  const before = [...byId("jobs").children];
  const cards = jobs.map((job, i) => (said[i] === shown[i] ? before[i] : card(job)));
  shown = said;
  cards.forEach((one, i) => {
    if (one !== before[i]) byId("jobs").insertBefore(one, before[i] ?? null);
  });
  before.filter((one) => !cards.includes(one)).forEach((one) => one.remove());
}

/** Show how the jobs are now; what was last known stays where there is no answer. */
async function look() {
  const { status, body } = await getJson("jobs");
  const good = status === 200 && Array.isArray(body.jobs);
  document.body.classList.toggle("stale", !good);
  if (good) show(body);
  else showState("bad", "Unreachable");
}

let asking = false;

/** Look for as long as somebody may see it. */
async function watch() {
  if (asking) return;
  asking = true;
  while (document.visibilityState === "visible") {
    await look();
    await new Promise((resolve) => { setTimeout(resolve, EVERY); });
  }
  asking = false;
}

document.addEventListener("visibilitychange", watch);
watch();
