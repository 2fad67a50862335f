// What both pages at {prefix}/docs share: read openapi.json and health, and tell how the job is. It uses elements.js,
// and keeps its rules. The page's own script comes after this one, has a function `showJob` for the document, and
// calls `load`.
"use strict";

const LONGEST_PAUSE = 5000; // ms between two looks at a job that loads
const SETTLING = 500; // ms between the news that the job is ready and the look at its page
const PULSE = 15000; // ms between two looks at the state of a job that is shown
const TRACING = "X-Request-Tracing-Id";
const OPEN = "open"; // what is said of an endpoint that needs no token, where others do

const MARKS = /(``.+?``|`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^[\]]+\]\(https?:[^\s()]+\))/;

/** Text with what light Markdown marks in it: code, stress, and links to the web. */
function inline(text) {
  return text.split(MARKS).map((part, index) => {
    if (index % 2 === 0) return part;
    if (part.startsWith("`")) return el("code", {}, part.replace(/^`+|`+$/g, ""));
    if (part.startsWith("**")) return el("strong", {}, part.slice(2, -2));
    if (part.startsWith("*")) return el("em", {}, part.slice(1, -1));
    const [, name, href] = part.match(/^\[(.+)\]\((.+)\)$/);
    return el("a", { href, rel: "noreferrer" }, name);
  });
}

/** The description without the summary that a docstring begins with and that is shown already. */
function remainder(description, summary) {
  return description.startsWith(summary) ? description.slice(summary.length).trim() : description;
}

/** A picture as an address that the page may show: the Content-Security-Policy has no place for blob:. */
function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** An id by which a call is found in the log. On plain http there is no randomUUID. */
function newTracingId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

// ---- the page --------------------------------------------------------------------------------------------

// This page was served in place of another, while the job was not there. A page that is loaded again after that
// may be this one once more, from a server beside: hence the short rest before.
const waiting = () => document.documentElement.hasAttribute("data-waiting");
const shown = () => byId("endpoints").hasChildNodes();

function showName(name, version) {
  byId("name").textContent = name;
  byId("version").textContent = version;
  document.title = `${name} ${version}`.trim();
}

function showState({ status, body }) {
  let [kind, text] = ["warn", shown() ? "Not ready" : "Loading"];
  if (status === 0) [kind, text] = ["bad", "Unreachable"];
  else if (body.ready === true) [kind, text] = ["ok", "Ready"];
  else if (body.live === false) [kind, text] = ["bad", "Failed"];
  byId("state").className = `state ${kind}`;
  if (byId("state").textContent !== text) byId("state").textContent = text;
  if (words(body.job_name) && !shown()) showName(body.job_name, words(body.job_version));
}

/** Tell why there is no job to show; the same notice twice is not announced twice. */
function showNotice(kind, title, reason, remark) {
  const notice = el("section", { class: `notice ${kind}` },
    el("h2", {}, title),
    reason && codeBlock("Reason", reason),
    remark ? el("p", {}, remark) : button("Try again", { class: "send", click: load }));
  if (byId("notice").textContent !== notice.textContent) byId("notice").replaceChildren(notice);
}

/** Tell who is not let in how to get in; once that is no longer so, say nothing of it. */
function showRefusal(refused) {
  const link = refused && signInLink();
  if (link) showNotice("bad", "You are not signed in", "", ["Sign in with your token to go on. ", link]);
  else if (shown()) byId("notice").replaceChildren();
}

/** Show the job, or why it cannot be shown. Returns whether another look is worth it. */
function show(description, health) {
  const reason = words(health.body.error) || words(description.body.error);
  const passing = description.status === 503 || description.status === 0;
  if (description.status === 200) {
    try {
      if (waiting()) setTimeout(() => location.reload(), SETTLING);
      else showJob(description.body);
    } catch (error) {
      showNotice("bad", "openapi.json cannot be shown", String(error));
    }
  } else if (isRefused(description) && signInLink()) showRefusal(true);
  else if (health.body.live === false) showNotice("bad", "The job failed to load", reason);
  else if (!passing) showNotice("bad", `openapi.json answered ${description.status}`, reason);
  else {
    const title = description.status ? "The job is not ready yet" : "The server does not answer";
    showNotice("busy", title, description.status ? reason : "", "This page looks again by itself.");
  }
  return passing && health.body.live !== false;
}

async function load() {
  for (let pause = 500, again = true; again; pause *= 2) {
    const [description, health] = await Promise.all([getJson("openapi.json"), getJson("health")]);
    again = show(description, health);
    showState(health);
    const wait = Math.min(Math.max(pause, description.pause), LONGEST_PAUSE);
    if (again) await new Promise((resolve) => { setTimeout(resolve, wait); });
  }
}

/** Keep the badge true while somebody may look at it. */
async function lookAgain() {
  if (document.visibilityState === "visible" && shown()) showState(await getJson("health"));
}

document.addEventListener("visibilitychange", lookAgain);
setInterval(lookAgain, PULSE);
