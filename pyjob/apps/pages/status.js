// The page at {prefix}/status: asks for status/data every two seconds and shows it. It uses elements.js and chart.js,
// and keeps their rules.
"use strict";

const EVERY = 2000; // ms from an answer to the next question
const LONGEST_WAIT = 5000; // ms; metrics() of a job may take two seconds of them
const SHORT_SPAN = 300; // seconds that the charts show of a job that has just started
const LONG_SPAN = 900; // and of any other

const STATES = {
  loading: ["warn", "Loading"],
  ready: ["ok", "Ready"],
  failed: ["bad", "Failed"],
  draining: ["warn", "Draining"],
};

const count = (number) => number.toLocaleString("en");
const text = (id, value) => {
  if (byId(id).textContent !== value) byId(id).textContent = value;
};

/** A number as short as it can be read: whole ones whole, others to six digits. */
function brief(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isSafeInteger(value)) return count(value);
  if (size < 1e-4 || size >= 1e15) return value.toPrecision(4);
  return value.toLocaleString("en", { maximumSignificantDigits: 6 });
}

/** Calls per second, with as many decimals as suit `size`. */
function rate(value, size) {
  if (size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return value.toLocaleString("en", { maximumFractionDigits: size < 1 ? 2 : 1 });
}

/** The share of `part` in per cent: 0 and 100 only where it is none or all. */
function percent(part, whole) {
  const share = (100 * part) / whole;
  if (part && share < 0.01) return "<0.01";
  if (part < whole && share > 99.99) return ">99.99";
  const decimals = share < 1 || share > 99 ? 2 : share < 10 ? 1 : 0;
  return share.toLocaleString("en", { maximumFractionDigits: decimals });
}

/** Seconds, or milliseconds where `size` is below a second. */
function duration(value, size) {
  const [factor, unit] = size < 1 ? [1000, "ms"] : [1, "s"];
  const decimals = size * factor < 10 ? 1 : 0;
  return `${(value * factor).toLocaleString("en", { maximumFractionDigits: decimals })} ${unit}`;
}

/** A span of time in its two largest units. */
function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  const [[large, size], [small, less]] = units.slice(at, at + 2);
  return `${Math.floor(seconds / size)} ${large} ${Math.floor((seconds % size) / less)} ${small}`;
}

/** The day of a Unix time, where that is not today. */
function day(seconds) {
  const date = new Date(seconds * 1000);
  return date.toDateString() === new Date().toDateString() ? "" : date.toLocaleDateString();
}

function moment(seconds) {
  const datetime = new Date(seconds * 1000).toISOString();
  return el("time", { datetime }, `${day(seconds)} ${clock(seconds, { second: "2-digit" })}`.trim());
}

/** Give `body` a row for each item: those that were there stay, so that they keep focus and selection. */
function showRows(body, items, key, make, update = () => {}) {
  const keys = new Set(items.map(key));
  for (const row of [...body.rows]) if (!keys.has(row.dataset.key)) row.remove();
  const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  items.forEach((item, at) => {
    const row = rows.get(key(item)) ?? el("tr", { role: "row", "data-key": key(item) }, make(item));
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
    update(row, item);
  });
  body.closest(".rows").hidden = !items.length;
}

const cell = (...children) => el("td", { role: "cell" }, ...children);
const code = (content) => el("code", {}, content);

function errorRow({ time, endpoint, status, kind, tracing_id: id }) {
  const name = code(id);
  const tracing = id ? [name, " ", copyButton(name, "Copy the tracing id")] : ["–"];
  return [[moment(time)], [code(endpoint)], [String(status)], [kind], tracing].map((each) => cell(...each));
}

function metricRow({ name, labels }) {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return [cell(code(name)), cell(pairs.join(", ")), cell()];
}

function showErrors(errors) {
  const key = ({ time, endpoint, tracing_id: id }) => `${time} ${endpoint} ${id}`;
  showRows(byId("latest").tBodies[0], errors, key, errorRow);
  text("no-errors", errors.length ? "" : "No error yet.");
}

function showMetrics({ state, metrics, more_metrics: more, metrics_faults: faults }) {
  const key = ({ name, labels }) => JSON.stringify([name, labels]);
  const update = (row, { value }) => { row.lastChild.textContent = brief(value); };
  showRows(byId("metrics").tBodies[0], metrics ?? [], key, metricRow, update);
  const absent = { loading: "The job is still loading.", failed: "The job has not loaded." };
  const none = absent[state] ?? "The job has no metrics() method.";
  const few = metrics?.length ? "" : "Its metrics() gives nothing now.";
  const number = faults === 1 ? "1 fault" : `${count(faults)} faults`;
  text("faults", faults ? `${number} in metrics() so far: the log says which.` : "");
  text("no-metrics", more ? `${count(more)} more are at /metrics.` : metrics ? few : none);
}

function showNumbers(data) {
  const { running, waiting, slots, queue, totals, now, uptime } = data;
  text("running", count(running));
  text("slots", slots === null ? "no limit" : `of ${count(slots)} at once`);
  text("waiting", count(waiting));
  text("queue", slots === null ? "none has to" : queue === null ? "no limit" : `of ${count(queue)} places`);
  byId("waiting").className = slots !== null && queue !== null && waiting >= queue && waiting ? "warn" : "";
  text("longest", !running ? "–" : data.longest < 60 ? duration(data.longest, data.longest) : span(data.longest));
  text("uptime", span(uptime));
  const began = now - uptime;
  text("since", `since ${day(began) || clock(began)}`);
  for (const name of ["calls", "errors", "refused", "abandoned"]) text(name, count(totals[name]));
  byId("errors").className = totals.errors ? "bad" : "";
  byId("refused").className = totals.refused ? "warn" : "";
  text("share", totals.calls ? `${percent(totals.errors, totals.calls)} % of all` : "of the job");
}

function showHistory({ history, totals, now, uptime }) {
  const length = uptime < SHORT_SPAN ? SHORT_SPAN : LONG_SPAN;
  const from = now - length;
  // The current bin is left out: it would always look as if calls became fewer.
  const shown = history.end.map((end, at) => at).filter((at) => history.end[at] <= now && history.end[at] >= from);
  const column = (name) => shown.map((at) => history[name][at]);
  const perSecond = (name) => column(name).map((number) => number / history.width);
  const frame = { times: column("end"), from, to: now };
  const some = [...column("calls"), ...column("refused")].some(Boolean);
  const before = totals.calls + totals.refused > 0;
  const none = before ? `No call in the last ${length / 60} minutes` : "No call yet";
  rates.show({ ...frame, values: ["calls", "errors", "refused"].map(perSecond), empty: some ? "" : none });
  const empty = column("calls").some(Boolean) ? "" : before ? "No call has ended in this time" : "No call yet";
  durations.show({ ...frame, values: ["p50", "p90", "p99"].map(column), empty });
}

function showState(kind, state) {
  byId("state").className = `state ${kind}`;
  text("state", state);
}

/** Tell what is wrong; the same notice twice is not announced twice. */
function showNotice(title, reason, remark) {
  const notice = title && el("section", { class: "notice bad" },
    el("h2", {}, title), reason && codeBlock("Reason", reason), remark && el("p", {}, remark));
  if (byId("notice").textContent !== (notice ? notice.textContent : "")) {
    byId("notice").replaceChildren(...(notice ? [notice] : []));
  }
}

function show(data) {
  const { job, state, error } = data;
  text("name", job.name);
  text("version", job.version);
  const [kind, title] = STATES[state];
  document.title = `${state === "ready" ? "Status" : title}: ${job.name} ${job.version}`;
  showNumbers(data);
  showHistory(data);
  showErrors(data.errors);
  showMetrics(data);
  showState(error ? "bad" : kind, state === "ready" && error ? "Stuck" : title);
  showNotice(error && (state === "failed" ? "The job failed to load" : "The job is stuck"), error);
  seen = clock(data.now, { second: "2-digit" });
  text("seen", `Status at ${seen}`);
}

let seen = ""; // when the numbers that are shown were true

/** Tell that there is no answer, or none that can be shown; what was last known stays. */
function showTrouble(answer) {
  const { status, body } = answer;
  const link = isRefused(answer) && signInLink();
  showState("bad", link ? "Signed out" : status ? "No numbers" : "Unreachable");
  const title = status ? `The server answered ${status}` : "The server does not answer";
  const next = isRefused(answer) ? "This page has stopped asking." : "This page goes on asking.";
  if (link) showNotice("You are not signed in", "", ["Sign in with your token to go on. ", link]);
  else showNotice(title, status ? words(body.error) : "", next);
  if (seen) text("seen", `Last heard of at ${seen}`);
}

/** Show how the job is now. Returns whether another look is worth it. */
async function look() {
  const answer = await getJson("status/data", LONGEST_WAIT);
  const good = answer.status === 200 && Boolean(answer.body.history);
  document.body.classList.toggle("stale", !good);
  if (good) show(answer.body);
  else showTrouble(answer);
  return !isRefused(answer);
}

let asking = false;

/** Look for as long as somebody may see it. */
async function watch() {
  if (asking) return;
  asking = true;
  const tell = (error) => {
    showNotice("The numbers cannot be shown", String(error));
    return true;
  };
  while (document.visibilityState === "visible" && await look().catch(tell)) {
    await new Promise((resolve) => { setTimeout(resolve, EVERY); });
  }
  asking = false;
}

const rates = new Chart(byId("rates"), {
  label: "Calls per second",
  format: rate,
  axis: linear(0.2),
  lines: [
    { name: "ended", kind: "accent", area: true },
    { name: "errors", kind: "red dashed" },
    { name: "refused", kind: "amber dotted" },
  ],
});
const durations = new Chart(byId("durations"), {
  label: "Duration of calls",
  format: duration,
  axis: logarithmic(0.001, 1),
  lines: [
    { name: "p50", kind: "accent" },
    { name: "p90", kind: "violet dashed" },
    { name: "p99", kind: "amber dotted" },
  ],
});

document.addEventListener("visibilitychange", watch);
watch();
