// Lines over time, drawn as SVG. It keeps the rules of elements.js.
"use strict";

const MARGIN = { top: 8, right: 8, bottom: 24, left: 56 };
const LABEL = 64; // px that a time below the chart needs, and some air

/** As `el`, in SVG. */
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A round step that goes into `most` four times at most. */
function stepFor(most) {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => most / step <= 4);
}

/** An axis from 0 up to `least` at least: its `levels`, all of them written with the unit that suits `size`, and which
 * `share` of the height a value takes. */
const linear = (least) => (values) => {
  const most = Math.max(least, ...values);
  const step = stepFor(most);
  const steps = Math.ceil(most / step - 1e-9);
  const size = steps * step;
  return { size, levels: Array.from({ length: steps + 1 }, (_, at) => at * step), share: (value) => value / size };
};

/** An axis of whole powers of ten, from `least` to `most` where there are no values: small ones show beside large ones.
 * Few powers have 2 and 5 times their own as levels, too. */
const logarithmic = (least, most) => (values) => {
  const known = values.filter((value) => value > 0).map(Math.log10);
  const from = Math.floor(Math.min(...(known.length ? known : [Math.log10(least)])) + 1e-9);
  const to = Math.max(Math.ceil(Math.max(...(known.length ? known : [Math.log10(most)])) - 1e-9), from + 1);
  const factors = to - from <= 2 ? [1, 2, 5] : [1];
  const powers = Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at));
  const levels = powers.flatMap((power) => factors.map((factor) => factor * power));
  const share = (value) => (Math.log10(value) - from) / (to - from);
  return { levels: levels.filter((level) => share(level) < 1 + 1e-9), share };
};

/** The time of day where the reader is; `seconds` is Unix time. */
function clock(seconds, options = {}) {
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...options };
  return new Date(seconds * 1000).toLocaleTimeString([], parts);
}

/** A chart in `box`: `lines` of { name, kind } (its classes) on an `axis`, values as `format(value, size)` writes
 * them, with the unit and the decimals that suit the size. */
class Chart {
  constructor(box, { label, lines, format, axis }) {
    this.lines = lines.map((line) => ({ ...line, shown: el("b", {}, "–"), values: [] }));
    this.format = format;
    this.axis = axis;
    this.label = label;
    this.times = [];
    this.chosen = null; // the time that the reader points at
    this.when = el("li", { class: "when" });
    this.plot = svg("svg", { class: "plot", role: "slider", tabindex: "0", "aria-label": `${label}: time` });
    box.append(el("ul", { class: "legend" }, this.lines.map((line) => this.entry(line)), this.when), this.plot);
    this.plot.addEventListener("pointerdown", (event) => this.point(event));
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.choose(null));
    this.plot.addEventListener("keydown", (event) => this.keydown(event));
    this.plot.addEventListener("blur", () => this.choose(null));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  entry({ name, kind, shown }) {
    const mark = svg("svg", { "aria-hidden": "true" }, svg("path", { class: `line ${kind}`, d: "M2,5H24" }));
    return el("li", {}, mark, el("span", {}, name), shown);
  }

  /** Show `values`, a list for each line with one for each of `times`; null where there is none. */
  show({ times, values, from, to, empty }) {
    this.times = times;
    this.lines.forEach((line, at) => { line.values = values[at]; });
    this.from = from;
    this.to = to;
    this.empty = empty;
    this.draw();
  }

  choose(time) {
    this.chosen = time;
    this.draw();
  }

  point(event) {
    if (!this.times.length) return;
    const left = this.plot.getBoundingClientRect().left + MARGIN.left;
    const share = (event.clientX - left) / (this.plot.clientWidth - MARGIN.left - MARGIN.right);
    this.choose(this.from + share * (this.to - this.from));
  }

  keydown(event) {
    const last = this.times.length - 1;
    const to = { ArrowLeft: this.at() - 1, ArrowRight: this.at() + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.choose(null);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.choose(this.times[Math.min(Math.max(to, 0), last)]);
  }

  /** Which of the times is chosen: the nearest one, or the latest of all. */
  at() {
    if (this.chosen === null) return this.times.length - 1;
    const far = this.times.map((time) => Math.abs(time - this.chosen));
    return far.indexOf(Math.min(...far));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || this.from === undefined) return;
    const { levels, size, share } = this.axis(this.lines.flatMap(({ values }) => values));
    const bottom = height - MARGIN.bottom;
    const right = width - MARGIN.right;
    const x = (time) => MARGIN.left + ((time - this.from) / (this.to - this.from)) * (right - MARGIN.left);
    const y = (value) => bottom - share(value) * (bottom - MARGIN.top);
    const parts = [];
    for (const level of levels) {
      const place = { class: "level", x: MARGIN.left - 8, y: y(level) + 4, "text-anchor": "end" };
      parts.push(svg("path", { class: "grid", d: `M${MARGIN.left},${y(level)}H${right}` }),
        svg("text", place, this.format(level, size ?? level)));
    }
    parts.push(...this.hours(x, bottom, right), ...this.lines.flatMap((line) => this.line(line, x, y)));
    if (this.empty) {
      const place = { x: (MARGIN.left + right) / 2, y: (MARGIN.top + bottom) / 2 + 5, "text-anchor": "middle" };
      parts.push(svg("text", { ...place, class: "empty" }, this.empty));
    }
    this.tell();
    if (this.chosen !== null && this.times.length) {
      parts.push(svg("path", { class: "cross", d: `M${x(this.times[this.at()])},${MARGIN.top}V${bottom}` }));
    }
    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot.replaceChildren(...parts);
  }

  /** The times below the chart, at full minutes. */
  hours(x, bottom, right) {
    const room = (right - MARGIN.left) / LABEL;
    const minutes = [1, 2, 3, 5].find((each) => (this.to - this.from) / (60 * each) <= room) ?? 5;
    const labels = [];
    for (let time = Math.ceil(this.from / 60) * 60; time <= this.to; time += 60) {
      if ((time / 60) % minutes || x(time) > right - 14) continue;
      labels.push(svg("path", { class: "grid", d: `M${x(time)},${bottom}v5` }),
        svg("text", { x: x(time), y: bottom + 18, "text-anchor": "middle" }, clock(time)));
    }
    return labels;
  }

  /** A line with gaps where values are missing; what stands alone in between is a dot. */
  line({ kind, values, area }, x, y) {
    const runs = [];
    values.forEach((value, at) => {
      if (value === null) return;
      if (!at || values[at - 1] === null) runs.push([]);
      runs.at(-1).push([x(this.times[at]).toFixed(1), y(value).toFixed(1)]);
    });
    const alone = runs.filter((run) => run.length === 1);
    const joined = runs.filter((run) => run.length > 1).map((run) => `M${run.join("L")}`).join("");
    const dots = alone.map(([[cx, cy]]) => svg("circle", { class: kind, cx, cy, r: 2.5 }));
    const under = area && joined ? [svg("path", { class: `area ${kind}`,
      d: runs.map((run) => `M${run[0][0]},${y(0)}L${run.join("L")}V${y(0)}Z`).join("") })] : [];
    return [...under, svg("path", { class: `line ${kind}`, d: joined }), ...dots];
  }

  /** The values at the chosen time, or the latest, in the legend. */
  tell() {
    const at = this.at();
    const write = (value) => (value === undefined || value === null ? "–" : this.format(value, value));
    this.lines.forEach((line) => { line.shown.textContent = write(line.values[at]); });
    const time = at < 0 ? "" : clock(this.times[at], { second: "2-digit" });
    this.when.textContent = time && `at ${time}`;
    const spoken = this.lines.map(({ name, values }) => `${name} ${write(values[at])}`).join(", ");
    const range = { min: 0, max: Math.max(this.times.length - 1, 0), now: Math.max(at, 0) };
    for (const [name, value] of Object.entries(range)) this.plot.setAttribute(`aria-value${name}`, value);
    this.plot.setAttribute("aria-valuetext", `${time}: ${spoken}`);
  }
}
