// The plain page: shows every endpoint that openapi.json tells of, and sends requests to it. It uses page.js, and
// keeps the rules of elements.js.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const SHOWN = 100000; // characters of an answer; more would make the page sluggish
const LINE = 72; // a list of plain values stays on one line up to this many characters
const FORM = "multipart/form-data";
const DEPTH = 4; // how deep types and samples follow a schema, which may contain itself

const fold = (title, attributes, ...body) => el("details", attributes, el("summary", {}, title), body);

/** The block with a button to copy it. */
function copyable(block, label) {
  return el("div", { class: "framed" }, block, copyButton(block, label));
}

// ---- the light Markdown of docstrings --------------------------------------------------------------------

/** Paragraphs, lists and fenced code; a line without a mark continues what is open, an empty line ends it. */
function prose(text) {
  const blocks = [];
  let open = null;
  for (const line of text.split("\n")) {
    const [, mark, rest] = line.match(/^\s*([-*+]|\d+[.)])\s+(.*)/) ?? [];
    if (/^\s*```/.test(line)) {
      if (open?.tag === "pre") open = null;
      else blocks.push((open = { tag: "pre", lines: [] }));
    } else if (open?.tag === "pre") {
      open.lines.push(line);
    } else if (!line.trim()) {
      open = null;
    } else if (mark) {
      const tag = /\d/.test(mark) ? "ol" : "ul";
      if (open?.tag !== tag) blocks.push((open = { tag, lines: [] }));
      open.lines.push(rest);
    } else if (open) {
      open.lines.push(`${open.lines.pop()} ${line.trim()}`);
    } else {
      blocks.push((open = { tag: "p", lines: [line.trim()] }));
    }
  }
  return blocks.map(({ tag, lines }) => {
    if (tag === "pre") return codeBlock("Example", lines.join("\n"));
    return el(tag, {}, tag === "p" ? inline(lines[0]) : lines.map((line) => el("li", {}, inline(line))));
  });
}

// ---- JSON as text ----------------------------------------------------------------------------------------
// JSON.parse is the judge, but would show 100.0 as 100 and round long integers, and in some browsers its
// message names no line. So the tokens of the text itself are laid out, or searched for the fault.

const STRING = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"`;
const NUMBER = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`;
const TOKENS = new RegExp(String.raw`${STRING}|${NUMBER}|\w+|\S`, "gu");

/** JSON indented for reading, every value spelled as it came; anything else unchanged. */
function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(TOKENS);
  let out = "";
  let margin = "\n";
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === "[" || token === "{") {
      const flat = flatGroup(tokens, at);
      if (flat.length) at += flat.length - 1;
      else margin += "  ";
      out += flat.map((part) => (part === "," ? ", " : part)).join("") || token + margin;
    } else if (token === "]" || token === "}") {
      margin = margin.slice(0, -2);
      out += margin + token;
    } else if (token === ",") out += token + margin;
    else out += token === ":" ? ": " : token;
  }
  return out;
}

/** The tokens of the group at `at` if it fits on a line: it is empty, or a short list of plain values. */
function flatGroup(tokens, at) {
  const near = tokens.slice(at + 1, at + LINE);
  const group = tokens.slice(at, at + near.findIndex((token) => "[]{}".includes(token)) + 2);
  const short = group.length === 2 || (tokens[at] === "[" && group.join(" ").length <= LINE);
  return short && "]}".includes(group.at(-1)) ? group : [];
}

const EXPECTED = {
  value: "a value",
  first: "a value or ]",
  name: "a name in double quotes",
  firstName: "a name in double quotes or }",
  colon: ": after the name",
  next: "a comma or the closing bracket",
  end: "nothing more",
};

/** What is wrong with the text, as { message, at }, or null. Nothing at all is fine: it means {}. */
function jsonFault(text) {
  if (!text.trim()) return null;
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return locateFault(text) ?? { message: error.message, at: 0 };
  }
}

function locateFault(text) {
  const open = []; // the brackets that must still come, innermost last
  let state = "value";
  for (const { 0: token, index: at } of text.matchAll(TOKENS)) {
    const string = /^".*"$/su.test(token) && token.length > 1;
    const closes = token === open.at(-1);
    const value = string || /^(?:-?\d.*|true|false|null|[[{])$/.test(token);
    const fits = {
      value,
      first: value || closes,
      name: string,
      firstName: string || closes,
      colon: token === ":",
      next: closes || token === ",",
      end: false,
    };
    if (token === '"') return { message: "a string without end, or with a line break or wrong escape", at };
    if (!fits[state]) return { message: `expected ${EXPECTED[state]}, found ${token.slice(0, 40)}`, at };
    if (token === "{" || token === "[") {
      open.push(token === "{" ? "}" : "]");
      state = token === "{" ? "firstName" : "first";
    } else if (token === ",") state = open.at(-1) === "}" ? "name" : "value";
    else if (token === ":") state = "value";
    else if (state === "name" || (state === "firstName" && !closes)) state = "colon";
    else {
      if (closes) open.pop();
      state = open.length ? "next" : "end";
    }
  }
  return state === "end" ? null : { message: `expected ${EXPECTED[state]}, found the end`, at: text.length };
}

// ---- JSON Schema -----------------------------------------------------------------------------------------

const isFile = (node) => node.type === "string" && node.format === "binary";

class Schemas {
  constructor(root) {
    this.root = root;
  }

  /** Follow `$ref` inside the document; what leads nowhere, or round in circles, is an empty object. */
  resolve(node) {
    let found = record(node);
    for (let hops = 0; typeof found.$ref === "string" && hops < 16; hops += 1) {
      const keys = found.$ref.split("/").slice(1).map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"));
      const enter = (place, key) => (Object.hasOwn(record(place), key) ? place[key] : null);
      const { $ref, ...beside } = found;
      found = { ...record(keys.reduce(enter, this.root)), ...beside };
    }
    return found;
  }

  /** The type in words, such as "list of number". */
  type(schema, depth = 0) {
    const node = this.resolve(schema);
    const inner = (part) => this.type(part, depth + 1);
    const join = (parts, joint) => [...new Set(parts.map(inner))].join(joint);
    const choices = list(node.anyOf ?? node.oneOf);
    if (depth > DEPTH) return "…";
    if (isFile(node)) return "file";
    if (Object.hasOwn(node, "const")) return JSON.stringify(node.const);
    if (list(node.enum).length) return node.enum.map((value) => JSON.stringify(value)).join(" or ");
    if (choices.length) return join(choices, " or ");
    if (list(node.allOf).length) return join(node.allOf, " and ");
    if (Array.isArray(node.type)) return join(node.type.map((type) => ({ ...node, type })), " or ");
    if (node.type === "array") return `list of ${inner(node.items).replace(/.* or .*/, "($&)")}`;
    if (node.type === "object" && Object.keys(record(node.additionalProperties)).length) {
      return `object of ${inner(node.additionalProperties)}`;
    }
    const kind = words(node.type === "object" && node.title) || words(node.type) || "any";
    return words(node.format) ? `${kind} (${node.format})` : kind;
  }

  /** The rows of a parameter table, those of nested objects with a dotted name, two levels down. */
  rows(schema, prefix = "", depth = 0) {
    const node = this.resolve(schema);
    return Object.entries(record(node.properties)).flatMap(([name, property]) => {
      const shape = this.resolve(property);
      const row = { name: prefix + name, required: list(node.required).includes(name), schema: shape };
      if (depth > 1) return [row];
      const [inner, mark] = shape.type === "array" ? [shape.items, "[]."] : [shape, "."];
      return [row, ...this.rows(inner, row.name + mark, depth + 1)];
    });
  }

  /** A payload to start from: the default or a plain value of whatever is required. */
  skeleton(schema, depth = 0) {
    const node = this.resolve(schema);
    const given = [node.default, node.const, ...list(node.enum), ...list(node.examples)];
    const first = given.find((value) => value !== undefined);
    if (first !== undefined || depth > DEPTH) return first ?? null;
    const choice = list(node.anyOf ?? node.oneOf ?? node.allOf)[0];
    if (choice) return this.skeleton(choice, depth + 1);
    const plain = { number: 0, integer: 0, string: "", boolean: false, array: [] };
    const type = Array.isArray(node.type) ? node.type[0] : node.type;
    if (Object.hasOwn(plain, type)) return plain[type];
    if (type !== "object" && !node.properties) return null;
    const properties = Object.entries(record(node.properties));
    const needed = properties.filter(([name]) => list(node.required).includes(name));
    return Object.fromEntries(needed.map(([name, property]) => [name, this.skeleton(property, depth + 1)]));
  }
}

// ---- what the document says about an endpoint ------------------------------------------------------------

function readOperations(schemas) {
  return Object.entries(record(schemas.root.paths)).flatMap(([path, item]) => {
    const methods = METHODS.filter((method) => Object.hasOwn(record(item), method));
    return methods.map((method) => readOperation(schemas, path, method, record(item[method])));
  });
}

function readOperation(schemas, path, method, node) {
  const content = record(schemas.resolve(node.requestBody).content);
  const type = Object.keys(content).find((name) => /\bjson\b/.test(name));
  const summary = words(node.summary);
  const fields = list(node.parameters).map((parameter) => readField(schemas.resolve(parameter)));
  const responses = Object.entries(record(node.responses));
  return {
    id: `op-${(words(node.operationId) || method + path).replace(/[^\w-]+/g, "-")}`,
    path,
    method: method.toUpperCase(),
    service: list(node.tags).includes("service"),
    summary,
    description: remainder(words(node.description), summary),
    fields: fields.filter((field) => words(field.name) && (field.in === "query" || field.in === "path")),
    payload: type ? readPayload(schemas, type, record(content[type])) : null,
    form: Object.hasOwn(content, FORM) ? readForm(schemas, content) : null,
    otherTypes: type || Object.hasOwn(content, FORM) ? [] : Object.keys(content),
    responses: responses.map(([status, answer]) => [status, schemas.resolve(answer)]),
    open: list(schemas.root.security).length > 0 && Array.isArray(node.security) && !node.security.length,
  };
}

/** The header that a token is sent in, and the field for it; null where nothing needs one. */
function readToken(schemas) {
  const schemes = Object.values(record(record(schemas.root.components).securitySchemes));
  const scheme = schemes.find((each) => each.type === "apiKey" && each.in === "header");
  if (!scheme || !list(schemas.root.security).length) return null;
  const input = el("input", { id: "token", type: "password", autocomplete: "off", "aria-describedby": "token-note" });
  return { header: words(scheme.name), input };
}

/** The form that takes files: its text fields begin with what the first sample of the JSON payload says. */
function readForm(schemas, content) {
  const { schema } = record(content[FORM]);
  const node = schemas.resolve(schema);
  const samples = Object.values(record(content)).flatMap(({ examples }) => Object.values(record(examples)));
  const sample = record(schemas.resolve(samples[0]).value);
  const fields = Object.entries(record(node.properties)).map(([name, property]) => {
    const several = isFile(schemas.resolve(schemas.resolve(property).items));
    const file = several || isFile(schemas.resolve(property));
    const required = list(node.required).includes(name);
    return { name, in: "form", required, schema: property, file, several, sample: file ? null : sample[name] };
  });
  return { schema, fields };
}

/** A field of path or query; one whose text is JSON has schema and examples a level deeper. */
function readField(parameter) {
  const { schema, examples } = { ...parameter, ...record(record(parameter.content)["application/json"]) };
  const [sample] = Object.values(record(examples)).map((each) => record(each).value);
  return { ...parameter, schema, sample };
}

function readPayload(schemas, type, { schema, example, examples }) {
  const samples = Object.entries(record(examples))
    .map(([name, each]) => ({ name, value: schemas.resolve(each).value }))
    .filter(({ value }) => value !== undefined);
  if (!samples.length) samples.push({ name: "sample", value: example ?? schemas.skeleton(schema) ?? {} });
  return { type, schema, samples };
}

// ---- the answer ------------------------------------------------------------------------------------------

function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

class AnswerView {
  constructor(operation) {
    this.operation = operation;
    this.link = "";
    // Only the verdict is live: a screen reader should not begin to read a thousand lines of body.
    this.verdict = el("p", { class: "verdict", role: "status" });
    this.body = el("div", { class: "body" });
    this.node = el("div", { class: "answer" }, this.verdict, this.body);
  }

  show(kind, parts, ...children) {
    this.verdict.className = `verdict ${kind}`;
    this.verdict.replaceChildren(...parts.filter(Boolean).map((part) => el("span", {}, part)));
    this.body.replaceChildren(...children);
  }

  waiting() {
    URL.revokeObjectURL(this.link);
    this.show("", ["Waiting for the answer …"]);
  }

  failure(error) {
    this.show("bad", [error.name === "AbortError" ? "Cancelled" : `No answer: ${error.message}`]);
  }

  async answer({ status, statusText, headers }, blob, duration, tracing) {
    // HTTP/2 has no reason phrase; what the document says about the status takes its place.
    const documented = this.operation.responses.find(([code]) => code === String(status))?.[1];
    const verdict = `${status} ${statusText || words(documented?.description)}`.trim();
    const kind = status < 400 ? "ok" : status < 500 ? "warn" : "bad";
    const type = headers.get("Content-Type") ?? "";
    const rows = [...headers].map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
    const content = await this.content(blob, type);
    this.show(kind, [verdict, `${duration.toFixed(duration < 100 ? 1 : 0)} ms`, size(blob.size), type],
      ...content,
      fold("Response headers", {}, el("dl", { class: "headers" }, ...rows)),
      el("p", { class: "tracing" }, "Tracing id: ", el("code", {}, headers.get(TRACING) ?? tracing)));
  }

  async content(blob, type) {
    if (!blob.size) return [el("p", { class: "muted" }, "The answer has no body.")];
    if (/^image\//.test(type)) {
      const picture = el("img", { src: await dataUrl(blob), alt: "The answer as a picture" });
      return [picture, this.download(blob, type)];
    }
    if (type && !/^text\/|json|xml|javascript|urlencoded/.test(type)) return [this.download(blob, type)];
    const raw = await blob.text();
    const text = /json/.test(type) && raw.length <= 10 * SHOWN ? pretty(raw) : raw;
    const shown = copyable(codeBlock("Body of the answer", text.slice(0, SHOWN)), "Copy the answer");
    if (text.length <= SHOWN) return [shown];
    const note = `Only the first ${SHOWN.toLocaleString("en")} characters are shown.`;
    return [shown, el("p", { class: "muted" }, note), this.download(blob, type)];
  }

  download(blob, type) {
    const ending = type.match(/^\w+\/([a-z0-9]+)(?:$|[;+])/)?.[1] ?? "bin";
    const file = `${this.operation.id.slice(3)}.${ending}`;
    this.link = URL.createObjectURL(blob);
    return el("p", {}, el("a", { href: this.link, download: file }, `Download ${file} (${size(blob.size)})`));
  }
}

// ---- the request -----------------------------------------------------------------------------------------

/** A file as curl's -F names it, who takes some characters in a name for its own. */
const fileOf = ({ name }) => (/[;,"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name);

/** The request as a command for a POSIX shell, JSON on one line: a line break in it is only ever layout. */
function curl({ method, url, headers, body }, token) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl ${method === "GET" ? "" : `-X ${method} `}${quoted(url)}`];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  // Never the token itself: somebody may look on.
  if (token) parts.push(`-H ${quoted(`${token.header}: `)}"$TOKEN"`);
  if (body instanceof FormData) {
    for (const [name, value] of body) {
      if (value instanceof File) parts.push(`-F ${quoted(`${name}=@${fileOf(value)}`)}`);
      else parts.push(`--form-string ${quoted(`${name}=${value}`)}`);
    }
  } else if (body) parts.push(`--data-raw ${quoted(body.replace(/\n\s*/g, " "))}`);
  return parts.join(" \\\n  ");
}

class RequestForm {
  constructor(schemas, operation) {
    const { id, method, path, payload, form } = operation;
    const fields = [...operation.fields, ...(form?.fields ?? [])];
    this.schemas = schemas;
    this.operation = operation;
    this.answer = new AnswerView(operation);
    this.running = null; // the AbortController of the call under way
    this.inputs = fields.map((field) => ({ field, input: this.input(field) }));
    this.problem = el("p", { class: "problem", id: `${id}-problem`, role: "alert" });
    this.editor = payload && el("textarea", {
      id: `${id}-payload`, "aria-describedby": this.problem.id, keydown: (event) => this.keydown(event),
      spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    });
    const kinds = [["form", "a form with files"], ["json", "JSON"]];
    this.kind = form && payload && el("select", { id: `${id}-kind`, change: () => this.choose() },
      kinds.map(([value, label]) => el("option", { value }, label)));
    this.send = button("Send", { type: "submit", class: "send", "aria-label": `Send ${method} ${path}` });
    this.cancel = button("Cancel", { class: "quiet", hidden: true, click: () => this.running?.abort() });
    this.command = codeBlock("curl command");
    const copied = copyable(this.command, "Copy the curl command");
    this.asCurl = fold("curl", { class: "curl", open: true }, copied);
  }

  /** The form of a card: fields, payload, buttons, the answer, the curl command. */
  full() {
    const key = (name) => el("kbd", {}, name);
    const inside = (isForm) => this.inputs.filter(({ field }) => (field.in === "form") === isForm)
      .map((each) => this.labelled(each));
    const label = this.kind && el("label", { for: this.kind.id }, "Send as");
    this.forJson = this.editor ? [
      el("div", {}, this.payload()),
      button("Reset sample", { class: "quiet", click: () => this.reset() }),
      el("span", { class: "hint muted" }, key("Ctrl"), " or ", key("⌘"), " + ", key("Enter"), " sends"),
    ] : [];
    const [written, ...more] = this.forJson;
    this.forForm = el("div", {}, inside(true));
    if (this.kind) this.choose();
    return this.form("request",
      inside(false),
      this.kind && el("div", { class: "caption" }, label, this.kind),
      this.forForm,
      written,
      this.problem,
      el("div", { class: "actions" }, this.send, this.cancel, more),
      this.answer.node,
      this.asCurl);
  }

  /** The form of a row in a list: one line until something was sent. */
  row(...before) {
    this.asCurl.hidden = true;
    const actions = el("div", { class: "actions" }, this.send, this.cancel);
    return this.form("row", before, actions, this.answer.node, this.asCurl);
  }

  form(kind, ...children) {
    const submit = (event) => {
      event.preventDefault();
      this.submit();
    };
    this.changed();
    return el("form", { class: kind, novalidate: true, submit, input: () => this.changed() }, ...children);
  }

  /** Whether the body is a form; otherwise it is JSON, or there is none. */
  sendsForm() {
    return Boolean(this.operation.form) && this.kind?.value !== "json";
  }

  choose() {
    this.forForm.hidden = !this.sendsForm();
    for (const node of this.forJson) node.hidden = this.sendsForm();
    this.changed();
  }

  keydown(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.submit();
  }

  input(field) {
    const schema = this.schemas.resolve(field.schema);
    const id = `${this.operation.id}-${field.in}-${field.name}`;
    const attributes = { id, autocomplete: "off", "aria-required": String(field.required === true) };
    if (list(schema.enum).length) {
      const choices = [...(field.required ? [] : [""]), ...schema.enum].map(String);
      return el("select", attributes, choices.map((value) => el("option", { value }, value)));
    }
    if (field.file) return el("input", { ...attributes, type: "file", multiple: field.several });
    const placeholder = schema.default === undefined ? null : String(schema.default);
    const { sample } = field;
    const value = sample === undefined || typeof sample === "string" ? sample ?? null : JSON.stringify(sample);
    return el("input", { ...attributes, type: "text", placeholder, value, spellcheck: "false" });
  }

  labelled({ field, input }) {
    const note = `${this.schemas.type(field.schema)}${field.required ? ", required" : ""}`;
    const label = el("label", { for: input.id }, field.name, " ", el("span", { class: "muted" }, note));
    return el("div", { class: "field" }, label, input);
  }

  payload() {
    const { samples, type } = this.operation.payload;
    const label = el("label", { for: this.editor.id }, "Payload ", el("span", { class: "muted" }, type));
    const options = samples.map(({ name }, index) => el("option", { value: String(index) }, name));
    const choice = el("select", { "aria-label": "Sample", change: () => this.reset() }, options);
    this.samples = choice;
    this.reset();
    return [el("div", { class: "caption" }, label, samples.length > 1 && choice), this.editor];
  }

  reset() {
    this.editor.value = pretty(JSON.stringify(this.operation.payload.samples[this.samples.value].value));
    this.editor.rows = Math.min(Math.max(this.editor.value.split("\n").length + 1, 3), 22);
    this.changed();
  }

  changed() {
    this.complain("", null);
    this.command.firstChild.textContent = curl(this.request(), this.operation.token);
  }

  complain(message, control) {
    this.problem.textContent = message;
    this.editor?.removeAttribute("aria-invalid");
    for (const { input } of this.inputs) input.removeAttribute("aria-invalid");
    control?.setAttribute("aria-invalid", "true");
    control?.focus();
    return !message;
  }

  request() {
    const { path, method, payload } = this.operation;
    const given = this.inputs.filter(({ input }) => input.value); // of a file: its name
    const inside = (place) => given.filter(({ field }) => field.in === place)
      .map(({ field, input }) => [field.name, input.value]);
    const inPath = new Map(inside("path"));
    const filled = path.replace(/\{([^{}]*)\}/g, (gap, name) => encodeURIComponent(inPath.get(name) ?? gap));
    // "./" keeps a path such as //host/x or scheme:x on this server and below this prefix.
    const url = new URL(`./${filled.replace(/^[/\\]+/, "")}`, document.baseURI);
    for (const [name, value] of inside("query")) url.searchParams.append(name, value);
    if (this.sendsForm()) {
      const body = new FormData();
      for (const { field, input } of given.filter((each) => each.field.in === "form")) {
        for (const value of field.file ? input.files : [input.value]) body.append(field.name, value);
      }
      return { method, url: url.href, headers: {}, body }; // the browser makes the boundary, and says so
    }
    const body = this.editor?.value.trim() ?? "";
    return { method, url: url.href, headers: body ? { "Content-Type": payload.type } : {}, body };
  }

  /** Whether the request can go out; if not, say why and bring the reader to the place. */
  sound() {
    const counts = ({ field }) => field.in !== "form" || this.sendsForm();
    const missing = this.inputs.find((each) => counts(each) && each.field.required && !each.input.value);
    if (missing) return this.complain(`${missing.field.name} is required.`, missing.input);
    const fault = this.editor && !this.sendsForm() && jsonFault(this.editor.value);
    if (!fault) return true;
    const before = this.editor.value.slice(0, fault.at).split("\n");
    const place = `Line ${before.length}, column ${before.at(-1).length + 1}`;
    this.editor.setSelectionRange(fault.at, fault.at);
    return this.complain(`This is not valid JSON. ${place}: ${fault.message}.`, this.editor);
  }

  async submit() {
    if (this.running) return;
    this.changed();
    if (!this.sound()) return;
    const { method, url, headers, body } = this.request();
    const { token } = this.operation;
    const secret = token?.input.value.trim();
    if (secret) headers[token.header] = secret; // beside it the cookie does not count
    this.busy(new AbortController());
    this.answer.waiting();
    const { signal } = this.running;
    let status = 0;
    try {
      const started = performance.now();
      const tracing = newTracingId();
      const options = { method, body: body || null, cache: "no-store", signal };
      const response = await fetch(url, { ...options, headers: { ...headers, [TRACING]: tracing } });
      const blob = await response.blob();
      ({ status } = response);
      // A job has statuses of its own, but no such challenge.
      showRefusal(status === 401 && response.headers.has("WWW-Authenticate"));
      await this.answer.answer(response, blob, performance.now() - started, tracing);
    } catch (error) {
      this.answer.failure(error);
    }
    this.busy(null);
    this.asCurl.hidden = false;
    if (status === 0 || status >= 500) showState(await getJson("health"));
  }

  // The button is not disabled while a call runs: it would lose the keyboard's focus.
  busy(controller) {
    this.running = controller;
    this.send.setAttribute("aria-disabled", String(Boolean(controller)));
    if (!controller && document.activeElement === this.cancel) this.send.focus();
    this.cancel.hidden = !controller;
  }
}

// ---- cards and lists -------------------------------------------------------------------------------------

/** Method and path; the path may break after a slash. */
function address({ method, path, open }) {
  const mark = el("span", { class: `method ${method.toLowerCase()}` }, method);
  const code = el("code", {}, path.split(/(?<=\/)/).flatMap((part) => [part, el("wbr")]));
  return [mark, " ", code, ...(open ? [" ", el("span", { class: "open-mark" }, OPEN)] : [])];
}

/** Roles are spelled out, since the narrow layout changes `display`, which takes the meaning from a table. */
function parameterTable(schemas, rows) {
  const cell = (role, ...children) => el(role === "columnheader" ? "th" : "td", { role }, children);
  const head = ["Name", "Type", "Description"].map((name) => cell("columnheader", name));
  const body = rows.map(({ name, required, schema }) => {
    const standard = schema.default === undefined ? "optional" : `default ${JSON.stringify(schema.default)}`;
    const need = required ? "required" : standard.replace(/^(.{70}).+/su, "$1…");
    return el("tr", { role: "row" },
      cell("rowheader", el("code", {}, name), " ", el("span", { class: required ? "need" : "muted" }, need)),
      cell("cell", schemas.type(schema)),
      cell("cell", ...inline(words(schema.description))));
  });
  return el("table", { role: "table" }, el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
    el("tbody", { role: "rowgroup" }, body));
}

function parameters(schemas, { fields, payload, form }) {
  const inAddress = fields.map(({ name, required, schema, description }) => (
    { name, required, schema: { ...schemas.resolve(schema), description } }));
  const rows = [...inAddress, ...schemas.rows((form ?? payload)?.schema)];
  const further = schemas.resolve((form ?? payload)?.schema).additionalProperties;
  const note = further ? `Takes ${rows.length ? "further" : "any"} named arguments.` : "None.";
  return [el("h4", {}, "Parameters"), rows.length > 0 && parameterTable(schemas, rows),
    (further || !rows.length) && el("p", { class: "muted" }, note)];
}

function documentedResponses(schemas, responses) {
  const entries = responses.map(([status, { description, content }]) => {
    const types = Object.entries(record(content)).map(([type, media]) => (
      [schemas.type(record(media).schema), type].filter((word) => word !== "any").join(" · ")));
    const detail = el("span", { class: "muted" }, types.join(", "));
    return [el("dt", {}, el("code", {}, status)), el("dd", {}, inline(words(description)), " ", detail)];
  });
  return entries.length > 0 && fold("Documented responses", {}, el("dl", {}, ...entries));
}

function card(schemas, operation) {
  const { id, summary, description, responses, otherTypes } = operation;
  const form = otherTypes.length
    ? el("p", { class: "muted" }, `This page cannot send ${otherTypes.join(" or ")}; use another client.`)
    : new RequestForm(schemas, operation).full();
  return el("article", { class: "card", id, "aria-labelledby": `${id}-title` },
    el("h3", { id: `${id}-title` }, address(operation)),
    summary && el("p", { class: "summary" }, inline(summary)),
    description && el("div", { class: "prose" }, prose(description)),
    el("div", { class: "columns" },
      el("div", {}, parameters(schemas, operation), documentedResponses(schemas, responses)),
      el("div", {}, el("h4", {}, "Try it"), form)));
}

function serviceRow(schemas, operation) {
  const summary = el("span", { class: "muted" }, inline(operation.summary));
  const form = new RequestForm(schemas, operation).row(el("div", {}, address(operation)), summary);
  return el("li", { id: operation.id }, form);
}

/** Where a token can be given, in place of signing in. */
function tokenCard({ header, input }) {
  return el("section", { class: "card token" },
    el("label", { for: "token" }, "Token"),
    input,
    el("p", { class: "muted", id: "token-note" }, "Only where you are not signed in, or to call as somebody else: it is ",
      "sent as ", el("code", {}, header), " with what you send here, and forgotten when you leave this page."));
}

function contents(operations) {
  const links = operations.map((operation) => {
    const path = operation.path.replace(/^\/api\/v1\//, "");
    return el("li", {}, el("a", { href: `#${operation.id}` }, address({ ...operation, path })));
  });
  return el("nav", { class: "contents", "aria-label": "Endpoints" }, el("ul", {}, links));
}

function showJob(root) {
  const schemas = new Schemas(root);
  const { title, version, summary, description } = record(root.info);
  const token = readToken(schemas);
  const operations = readOperations(schemas).map((each) => ({ ...each, token: each.open ? null : token }));
  const endpoints = operations.filter(({ service }) => !service);
  const cards = endpoints.map((operation) => card(schemas, operation));
  const rows = operations.filter(({ service }) => service).map((operation) => serviceRow(schemas, operation));
  showName(words(title) || "Job", words(version));
  byId("summary").replaceChildren(...inline(words(summary)));
  byId("about").replaceChildren(...prose(remainder(words(description), words(summary))));
  if (cards.length > 2) cards.unshift(contents(endpoints));
  if (token) cards.unshift(tokenCard(token));
  byId("endpoints").replaceChildren(el("h2", {}, "Endpoints"), ...cards);
  byId("service").replaceChildren(el("h2", {}, "Service"), el("ul", { class: "services" }, rows));
  byId("notice").replaceChildren();
  // The browser looked for the fragment of the address before there was anything to find.
  if (location.hash.startsWith("#op-")) byId(location.hash.slice(1))?.scrollIntoView();
}

load();
