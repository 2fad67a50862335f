// What all pages of ours share: making elements, asking for JSON, copying text.
//
// Two rules hold in all scripts of ours. Whatever comes from openapi.json or from an answer is untrusted
// and reaches the page as text only (`el` below, never markup). And every address is relative to the page, so
// that it works at the root, below /pub/job/NAME/VERSION and mounted in another application alike.
"use strict";

const PATIENCE = 10000; // ms for the page's own requests; those of the reader may take as long as they like

const record = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});
const list = (value) => (Array.isArray(value) ? value : []);
const words = (value) => (typeof value === "string" ? value.trim() : "");
const byId = (id) => document.getElementById(id);

/** Make an element. Functions become listeners, null and false are left out, children may be text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(Boolean));
  return node;
}

const button = (label, attributes) => el("button", { type: "button", ...attributes }, label);

/** A block of code that scrolls by itself; it takes the focus, so that a keyboard can scroll it too. */
function codeBlock(label, text = "") {
  return el("pre", { tabindex: "0", role: "group", "aria-label": label }, el("code", {}, text));
}

/** Whether an answer says that who asks is not let in. */
const isRefused = ({ status }) => status === 401 || status === 403;

/** The way to sign in, and back to this page; null where nobody signs in. */
function signInLink() {
  if (!document.querySelector('nav a[href="sign-out"]')) return null;
  const here = location.pathname + location.search + location.hash;
  return el("a", { class: "send", href: `sign-in?next=${encodeURIComponent(here)}` }, "Sign in");
}

/** A button that copies the text of `node`. On plain http the clipboard is closed: then the text is selected. */
function copyButton(node, label) {
  async function copy() {
    let told = "Copied";
    try {
      await navigator.clipboard.writeText(node.textContent);
    } catch {
      getSelection().selectAllChildren(node);
      told = "Selected";
    }
    byId("announcer").textContent = told;
    made.textContent = told;
    setTimeout(() => { made.textContent = "Copy"; }, 2500);
  }
  const made = button("Copy", { class: "quiet", "aria-label": label, click: copy });
  return made;
}

/** GET the page's own JSON: { status, body, pause }, status 0 where no answer came. It never raises. */
async function getJson(path, patience = PATIENCE) {
  try {
    const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(patience) });
    const pause = Number(response.headers.get("Retry-After")) * 1000 || 0;
    return { status: response.status, body: record(await response.json().catch(() => null)), pause };
  } catch (error) {
    return { status: 0, body: { error: error.message }, pause: 0 };
  }
}
