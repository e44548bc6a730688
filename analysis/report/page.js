// The lineage of a report: every record of a run on a canvas, and the ancestry of the one chosen.
"use strict";
(() => {
  const CAUSES = ["start", "trained", "copy", "rescue"];
  const FAILED = 4, WAITING = 8, CAUSE = 3, COPY = 2;
  const GAP_FROM = 4; // px of a row from which on rows are drawn apart
  const TALLEST = 36; // px of a row, zoomed in as far as it goes
  const NARROWEST = 4; // steps on the screen, zoomed in as far as it goes
  const LINKS = 1500; // lines that are drawn at once; more are neither seen nor drawn in time
  const LARGEST = 4096; // cells of the picture along the steps; longer runs are thinned out
  const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };

  const byId = (id) => document.getElementById(id);
  const text = (number, digits = 5) =>
    Number.isFinite(number) ? String(Number(number.toPrecision(digits))) : "none";
  const shown = (value) => (typeof value === "string" ? value : text(value, 4));
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  // Build an element; content is only ever set as text, so that no name of a run becomes markup.
  function make(name, attributes = {}, ...content) {
    const svg = ["svg", "path", "circle", "line", "text"].includes(name);
    const element = svg
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...content.filter((part) => part !== null && part !== ""));
    return element;
  }

  function bytes(data) {
    const raw = atob(data), found = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
    return found;
  }
  const unpack = ({ type, data }) => new TYPES[type](bytes(data).buffer);

  // ------------------------------------------------------------------------------ a run, decoded

  function read(index) {
    const source = JSON.parse(byId(`run-${index}`).textContent);
    const first = unpack(source.first), step = unpack(source.step);
    const run = {
      index, first, step,
      name: source.name, seed: source.seed, unit: source.unit,
      score: unpack(source.score), flags: unpack(source.flags),
      rows: step.length, members: first.length - 1, steps: 0,
      member: new Uint32Array(step.length), before: new Int32Array(step.length),
      parent: new Int32Array(step.length).fill(-1),
    };
    for (let m = 0; m < run.members; m++)
      for (let row = first[m]; row < first[m + 1]; row++) {
        run.member[row] = m;
        run.before[row] = row === first[m] ? -1 : row - 1;
        run.steps = Math.max(run.steps, step[row]);
      }
    const copied = unpack(source.copied), donor = unpack(source.donor);
    copied.forEach((row, i) => (run.parent[row] = donor[i]));
    if (source.weights) copied.forEach((row, i) => (run.before[row] = donor[i])); // else they stay where they are
    run.lost = new Set(source.weights ? unpack(source.lost) : []);
    for (const row of run.lost) run.before[row] = -1; // their origin is unknown
    if (source.weights) for (const row of unpack(source.restarted)) run.before[row] = -1; // fresh starts
    run.copies = copied;
    run.dropped = new Map(Array.from(unpack(source.dropped), (score, i) => [copied[i], score]));
    run.hypers = source.hypers.map(({ name, options, rows, values }) => {
      const at = unpack(rows), given = unpack(values);
      const all = new given.constructor(run.rows);
      at.forEach((row, i) => all.fill(given[i], row, i + 1 < at.length ? at[i + 1] : run.rows));
      return { name, options, of: (row) => (options ? options[all[row]] : all[row]) };
    });
    run.founder = founders(run);
    run.last = Array.from({ length: run.members }, (_, m) => first[m + 1] - 1);
    [run.low, run.high] = range(run);
    return run;
  }

  // The member from whose start each record's weights descend; if that is lost, no member's number.
  function founders(run) {
    const found = new Int32Array(run.rows).fill(-1), way = [];
    for (let start = 0; start < run.rows; start++) {
      let row = start;
      while (found[row] < 0 && run.before[row] >= 0) {
        way.push(row);
        row = run.before[row];
      }
      if (found[row] < 0) found[row] = run.lost.has(row) ? run.members : run.member[row];
      while (way.length) found[way.pop()] = found[row];
    }
    return found;
  }

  // All scores but outliers far below the others, which would press these into one colour.
  function range(run) {
    const scores = run.score.filter(Number.isFinite).sort();
    if (!scores.length) return [0, 1];
    const quarter = scores[Math.floor(scores.length / 4)], high = scores[scores.length - 1];
    return [Math.max(scores[0], quarter - 2 * (high - quarter)), high];
  }

  const has = (run, member) => run.first[member + 1] > run.first[member];

  // The last record of a member at a step; -1 if it has none there.
  function cell(run, member, step) {
    let low = run.first[member], high = run.first[member + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (run.step[middle] <= step) low = middle + 1;
      else high = middle;
    }
    const row = low - 1;
    return row >= run.first[member] && run.step[row] === step ? row : -1;
  }

  function ancestry(run, row) {
    const found = [];
    for (; row >= 0; row = run.before[row]) found.push(row);
    return found.reverse();
  }

  function descendants(run, row) {
    if (!run.children) {
      run.children = new Map();
      for (let child = 0; child < run.rows; child++) {
        const from = run.before[child];
        if (from < 0) continue;
        if (run.children.has(from)) run.children.get(from).push(child);
        else run.children.set(from, [child]);
      }
    }
    const found = [], left = [row];
    while (left.length)
      for (const child of run.children.get(left.pop()) || []) {
        found.push(child);
        left.push(child);
      }
    return found.sort((a, b) => a - b);
  }

  const order = {
    id: (run) => Array.from({ length: run.members }, (_, m) => m),
    rank: (run) => {
      const fitness = (m) => {
        const score = has(run, m) ? run.score[run.last[m]] : NaN;
        return Number.isFinite(score) ? score : -Infinity;
      };
      const copy = (m) => has(run, m) && run.parent[run.last[m]] >= 0;
      const compare = (a, b) => (fitness(a) === fitness(b) ? copy(a) - copy(b) : fitness(b) - fitness(a));
      return order.id(run).sort((a, b) => compare(a, b) || a - b);
    },
    founder: (run) => {
      const founder = (m) => (has(run, m) ? run.founder[run.last[m]] : run.members);
      const place = new Map(), ranked = order.rank(run);
      ranked.forEach((m, i) => place.has(founder(m)) || place.set(founder(m), i));
      return ranked.map((m, i) => [place.get(founder(m)), i, m]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((x) => x[2]);
    },
  };

  function describe(run, row) {
    const hypers = Object.fromEntries(run.hypers.map((h) => [h.name, h.of(row)]));
    const found = {
      row, member: run.member[row], step: run.step[row], score: run.score[row], hypers,
      cause: CAUSES[run.flags[row] & CAUSE], failed: Boolean(run.flags[row] & FAILED),
      waiting: Boolean(run.flags[row] & WAITING), parent: null, dropped: null,
    };
    const from = run.parent[row];
    if (from >= 0) {
      found.parent = { row: from, member: run.member[from], step: run.step[from], score: run.score[from] };
      const own = row - 1, score = run.dropped.get(row);
      // what it had before it copied is in its record before, unless that one is lost
      const there = own >= run.first[found.member] && (Math.fround(run.score[own]) === Math.fround(score) || Number.isNaN(score));
      found.dropped = { score, row: there ? own : -1, hypers: there ? Object.fromEntries(run.hypers.map((h) => [h.name, h.of(own)])) : {} };
    }
    return found;
  }

  const state = (point) =>
    point.failed ? "failed" : Number.isFinite(point.score) ? text(point.score) : point.step ? "diverged" : "not evaluated yet";

  function lines(run, row) {
    const point = describe(run, row);
    const found = [[run.unit, state(point)]];
    // not by the names, which are a user's: those of digits would change their places in an object
    for (const { name, of } of run.hypers) {
      const value = of(row), was = point.dropped && point.dropped.row >= 0 ? of(point.dropped.row) : value;
      found.push([name, shown(value) + (was !== value ? ` (dropped ${shown(was)})` : "")]);
    }
    if (point.parent) {
      const { member, step, score } = point.parent;
      found.push(["copied", `member ${member} at step ${step}, which had ${text(score)}`]);
      if (point.dropped) found.push(["dropped", `its own score ${text(point.dropped.score)}`]);
    }
    if (CAUSES.indexOf(point.cause) >= COPY && !point.parent) found.push(["copied", "a member whose record is lost"]);
    else if (run.lost.has(row)) found.push(["before", "a copy whose record is lost"]);
    if (point.waiting) found.push(["decision", "still to come"]);
    return [`Member ${point.member}, step ${point.step}`, found];
  }

  // ------------------------------------------------------------------------------ the page's parts

  const page = JSON.parse(byId("page").textContent);
  const palette = bytes(page.colours);
  const root = byId("lineage-view");
  const base = make("canvas", { "aria-hidden": "true" });
  const over = make("canvas", { "aria-hidden": "true" });
  const tip = make("div", { class: "tip", hidden: true });
  const plot = make("div", {
    class: "plot", tabindex: "0", role: "application", id: "lineage-plot",
    "aria-label":
      "Lineage. Arrow keys move the chosen point along its member and between members, Home and End go " +
      "to the first and last step, plus and minus zoom, 0 shows all, d shows descendants, Escape clears. " +
      "The table below holds the last record of every member.",
  }, base, over, tip);
  const live = make("p", { class: "unseen", role: "status" });
  const legend = make("div", { class: "legend" });
  const panel = make("div", { class: "panel" });
  const note = make("p", { class: "quiet" });
  const choose = make("select", { id: "lineage-run", onchange: () => show(Number(choose.value)) });
  const sort = make("select", { id: "lineage-order", onchange: () => arrange(sort.value) },
    make("option", { value: "rank" }, "final rank"),
    make("option", { value: "id" }, "number"),
    make("option", { value: "founder" }, "founder, then rank"));
  const links = make("input", { type: "checkbox", checked: true, onchange: () => draw() });
  const below = make("input", { type: "checkbox", onchange: () => select(at.selected) });
  const button = (label, name, act) => make("button", { type: "button", "aria-label": name, title: name, onclick: act }, label);

  const at = { run: null, order: [], place: [], view: null, selected: -1, hovered: -1, marked: null, way: [], runs: new Map() };
  let size = { width: 0, height: 0, left: 46, bottom: 30, top: 6, right: 10, ratio: 1 };
  let theme = {}, picture = null, highlight = null, pending = false;

  const rowHeight = () => inner().height / (at.view.y1 - at.view.y0);
  const cellWidth = () => inner().width / (at.view.x1 - at.view.x0);
  const inner = () => ({ width: size.width - size.left - size.right, height: size.height - size.top - size.bottom });
  const toX = (step) => size.left + (step - at.view.x0) * cellWidth();
  const toY = (place) => size.top + (place - at.view.y0) * rowHeight();
  const fromX = (x) => at.view.x0 + (x - size.left) / cellWidth();
  const fromY = (y) => at.view.y0 + (y - size.top) / rowHeight();
  const middle = (row) => toY(at.place[at.run.member[row]] + 0.5);

  function colour(run, row) {
    if (!Number.isFinite(run.score[row])) return run.step[row] === 0 && !(run.flags[row] & FAILED) ? theme.start : theme.bad;
    const share = (run.score[row] - run.low) / (run.high - run.low || 1);
    const i = 3 * Math.round(255 * clamp(share, 0, 1));
    return [palette[i], palette[i + 1], palette[i + 2]];
  }

  // A pixel for each member and step; scaled by the browser, which is what keeps a zoom fast.
  function paint(rows) {
    const run = at.run, stride = Math.ceil((run.steps + 1) / LARGEST);
    const canvas = make("canvas", { width: Math.floor(run.steps / stride) + 1, height: run.members });
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    const set = (row) => {
      const [r, g, b] = colour(run, row);
      image.data.set([r, g, b, 255], 4 * (at.place[run.member[row]] * canvas.width + Math.floor(run.step[row] / stride)));
    };
    if (rows) {
      // of the records of one member and step, the last chosen one gives the colour of that step
      for (const row of rows) set(row);
    } else for (let row = 0; row < run.rows; row++) set(row);
    context.putImageData(image, 0, 0);
    return { canvas, stride };
  }

  function spread(context, { canvas, stride }) {
    const x = toX(-0.5), width = canvas.width * stride * cellWidth(), height = rowHeight();
    if (height < GAP_FROM) {
      context.imageSmoothingEnabled = height < 1;
      context.drawImage(canvas, x, toY(0), width, height * at.run.members);
      return;
    }
    context.imageSmoothingEnabled = false;
    const gap = height < 8 ? 0.5 : clamp(height * 0.16, 1, 5);
    const last = Math.min(at.run.members, Math.ceil(at.view.y1));
    for (let p = Math.max(0, Math.floor(at.view.y0)); p < last; p++)
      context.drawImage(canvas, 0, p, canvas.width, 1, x, toY(p) + gap, width, height - 2 * gap);
  }

  function prepare(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    return context;
  }

  function clip(context) {
    context.save();
    context.beginPath();
    context.rect(size.left, size.top, inner().width, inner().height);
    context.clip();
  }

  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      drawBase();
      drawOver();
    });
  }

  function drawBase() {
    const context = prepare(base);
    clip(context);
    context.globalAlpha = at.marked ? 0.22 : 1;
    spread(context, picture);
    context.globalAlpha = 1;
    note.textContent = "";
    if (links.checked && !at.marked) drawLinks(context);
    if (at.marked) spread(context, highlight);
    context.restore();
    axes(context);
  }

  function drawLinks(context) {
    const run = at.run, seen = [], { x0, x1, y0, y1 } = at.view;
    for (const row of run.copies) {
      const from = run.parent[row], a = at.place[run.member[from]], b = at.place[run.member[row]];
      const shows = (place) => place + 1 >= y0 && place <= y1;
      if (run.step[row] >= x0 && run.step[from] <= x1 && (shows(a) || shows(b))) seen.push(row);
    }
    const thin = Math.ceil(seen.length / LINKS), few = seen.length < 300 && rowHeight() >= 6;
    if (thin > 1) note.textContent = `One in ${thin} of the ${seen.length} copies in view is drawn; zoom in for all.`;
    const way = new Path2D();
    for (let i = 0; i < seen.length; i += thin) curve(way, run.parent[seen[i]], seen[i]);
    context.fillStyle = theme.ink;
    context.globalAlpha = few ? 0.9 : clamp(300 / seen.length, 0.15, 0.6);
    // with an edge, to be seen on every colour of the scale
    for (const [style, width] of [[theme.paper, few ? 3 : 1.8], [theme.ink, few ? 1.1 : 0.7]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.stroke(way);
    }
    if (few)
      for (const row of seen) {
        context.beginPath();
        context.arc(toX(run.step[row]), middle(row), clamp(rowHeight() / 6, 1.5, 3.5), 0, 7);
        context.fill();
      }
    context.globalAlpha = 1;
  }

  function curve(path, from, to) {
    const x = toX(at.run.step[from]), y = middle(from), x2 = toX(at.run.step[to]), y2 = middle(to);
    // in lockstep all copies of a step are above each other: the farther, the wider the curve
    const far = Math.abs(at.place[at.run.member[from]] - at.place[at.run.member[to]]) / at.run.members;
    const bend = cellWidth() * 0.55 * (0.15 + 0.85 * Math.sqrt(far));
    path.moveTo(x, y);
    if (bend < 2) path.lineTo(x2, y2);
    else path.bezierCurveTo(x - bend, y, x2 - bend, y2, x2, y2);
  }

  function ticks(low, high, room) {
    const raw = (high - low) / Math.max(room, 1), unit = 10 ** Math.floor(Math.log10(raw || 1));
    const by = Math.max(1, [1, 2, 5, 10].map((k) => k * unit).find((k) => k >= raw) || 1);
    const found = [];
    for (let x = Math.ceil(low / by) * by; x <= high; x += by) found.push(x);
    return found;
  }

  function axes(context) {
    context.fillStyle = theme.quiet;
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "top";
    const bottom = size.height - size.bottom;
    for (const step of ticks(Math.max(at.view.x0, 0), Math.min(at.view.x1, at.run.steps), inner().width / 70))
      context.fillText(String(step), toX(step), bottom + 4);
    context.fillText("step", size.left + inner().width / 2, bottom + 17);
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = Math.max(1, Math.ceil(14 / rowHeight())), told = every === 1 || sort.value === "id";
    for (let p = Math.max(0, Math.floor(at.view.y0)); p < Math.min(at.run.members, at.view.y1); p++) {
      const y = toY(p + 0.5);
      if (told && p % every === 0 && y > size.top + 4 && y < bottom - 4) context.fillText(String(at.order[p]), size.left - 6, y);
    }
    context.save();
    context.translate(9, size.top + inner().height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    const by = { rank: "members, best on top", founder: "members by founder", id: "member" };
    context.fillText(told ? "member" : by[sort.value], 0, 0);
    context.restore();
  }

  function drawOver() {
    const context = prepare(over);
    clip(context);
    if (at.way.length) {
      for (const [style, width] of [[theme.paper, 5], [theme.accent, 2.2]]) {
        context.strokeStyle = style;
        context.lineWidth = width;
        context.lineJoin = "round";
        context.beginPath();
        context.moveTo(toX(at.run.step[at.way[0]]), middle(at.way[0]));
        for (let i = 1; i < at.way.length; i++) context.lineTo(toX(at.run.step[at.way[i]]), middle(at.way[i]));
        context.stroke();
      }
      ring(context, at.selected, theme.accent, 6, true);
    }
    if (at.hovered >= 0) ring(context, at.hovered, theme.ink, 5, false);
    context.restore();
  }

  function ring(context, row, style, radius, filled) {
    context.beginPath();
    context.arc(toX(at.run.step[row]), middle(row), radius, 0, 7);
    context.lineWidth = 5;
    context.strokeStyle = theme.paper;
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = style;
    context.stroke();
    if (filled) {
      context.fillStyle = style;
      context.fill();
    }
  }

  // ------------------------------------------------------------------------------ what is chosen

  function rowAt(x, y) {
    if (x < size.left || x > size.width - size.right || y < size.top || y > size.height - size.bottom) return -1;
    const place = Math.floor(fromY(y));
    if (place < 0 || place >= at.run.members) return -1;
    return cell(at.run, at.order[place], Math.round(fromX(x)));
  }

  function placeOf(row) {
    const box = plot.getBoundingClientRect();
    return { x: box.left + toX(at.run.step[row]), y: box.top + middle(row) };
  }

  function hover(row, x, y) {
    if (row !== at.hovered) {
      at.hovered = row;
      drawOver();
      if (row >= 0) {
        const [title, found] = lines(at.run, row);
        tip.replaceChildren(make("strong", {}, title), list(found));
      }
    }
    tip.hidden = row < 0;
    if (row < 0) return;
    const wide = tip.offsetWidth, tall = tip.offsetHeight;
    tip.style.left = `${clamp(x + 14 + wide > size.width ? x - wide - 14 : x + 14, 0, Math.max(0, size.width - wide))}px`;
    tip.style.top = `${y + 14 + tall > size.height ? Math.max(0, y - tall - 14) : y + 14}px`;
  }

  const list = (found) =>
    make("dl", {}, ...found.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));

  function select(row) {
    at.selected = row;
    at.way = row < 0 ? [] : ancestry(at.run, row);
    const more = row >= 0 && below.checked ? descendants(at.run, row) : [];
    at.marked = row < 0 ? null : new Set([...at.way, ...more]);
    highlight = row < 0 ? null : paint([...more, ...at.way]);
    panel.replaceChildren(...about(row, more));
    draw();
  }

  function about(row, more) {
    if (row < 0) {
      live.textContent = "";
      return [make("p", { class: "quiet" }, "Nothing is chosen. Click a point, or a member in the table below.")];
    }
    const run = at.run, [title, found] = lines(run, row);
    const copies = at.way.filter((r) => run.parent[r] >= 0);
    const origin = at.way[0];
    live.textContent = `${title}: ${found.map(([name, value]) => `${name} ${value}`).join("; ")}`;
    const story = `It descends from member ${run.member[origin]}, over ${copies.length} cop${copies.length === 1 ? "y" : "ies"} and ${at.way.length} records.`;
    const reach = new Set(more.map((r) => run.member[r])).size;
    const parts = [
      make("h3", {}, title), list(found), make("p", {}, story),
      below.checked ? make("p", {}, `${more.length} records of ${reach} members descend from it.`) : null,
      make("h4", {}, "Along its ancestry"),
      chart(run.unit, (r) => run.score[r], at.way),
      ...run.hypers.map((h) => chart(h.name, h.of, at.way, h.options)),
    ];
    if (copies.length) parts.push(make("details", {}, make("summary", {}, `Its ${copies.length} copies`), history(copies)));
    parts.push(button("Clear", "Clear the choice (Escape)", () => select(-1)));
    return parts.filter((part) => part !== null);
  }

  function history(copies) {
    const items = copies.map((row) => {
      const { member, step, parent, dropped } = describe(at.run, row);
      const changes = at.run.hypers
        .map(({ name, of }) => [name, of(parent.row), of(row)])
        .filter(([, was, value]) => was !== value)
        .map(([name, was, value]) => `${name} ${shown(was)} → ${shown(value)}`);
      return make("li", {},
        `Step ${step}: member ${member}${dropped ? ` (${text(dropped.score)})` : ""} copied member ${parent.member} (${text(parent.score)})` +
        (changes.length ? `; ${changes.join(", ")}` : ""));
    });
    return make("ol", {}, ...items);
  }

  // A value along the ancestry: in force from each record to the next.
  function chart(name, of, way, options) {
    const width = 300, height = 54, run = at.run;
    const given = way.map((row) => [run.step[row], options ? options.indexOf(of(row)) : of(row), row]);
    const points = given.filter(([, y]) => Number.isFinite(y));
    if (!points.length) return make("p", { class: "quiet" }, `${name}: none`);
    const values = points.map(([, y]) => y);
    const low = Math.min(...values), high = Math.max(...values);
    const logarithmic = !options && low > 0 && high / low > 30;
    const scale = (y) => (logarithmic ? Math.log(y) : y);
    const px = (x) => 4 + ((x - points[0][0]) / (run.steps - points[0][0] || 1)) * (width - 8);
    const py = (y) => height - 5 - ((scale(y) - scale(low)) / (scale(high) - scale(low) || 1)) * (height - 10);
    let path = "";
    points.forEach(([x, y], i) => {
      if (i) path += `L${px(x).toFixed(1)} ${py(points[i - 1][1]).toFixed(1)}`;
      path += `${i ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`;
    });
    const say = (y) => (options ? options[y] : text(y, 4));
    const end = points[points.length - 1];
    const span = low === high ? say(low) : `${say(values[0])} → ${say(end[1])}`;
    return make("div", { class: "chart" },
      make("div", {}, make("span", {}, name + (logarithmic ? " (log)" : "")), make("b", {}, span)),
      make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": `${name} along the ancestry, from ${say(values[0])} to ${say(end[1])}, between ${say(low)} and ${say(high)}` },
        make("path", { d: path }),
        ...points.filter(([, , row]) => run.parent[row] >= 0)
          .map(([x, y]) => make("circle", { cx: px(x).toFixed(1), cy: py(y).toFixed(1), r: 2.5 }))),
      low === high || options ? "" : make("div", { class: "quiet" }, `between ${say(low)} and ${say(high)}`));
  }

  // ------------------------------------------------------------------------------ view

  function whole() {
    at.view = { x0: -0.5, x1: at.run.steps + 0.5, y0: 0, y1: at.run.members };
    draw();
  }

  function zoom(factor, x = size.left + inner().width / 2, y = size.top + inner().height / 2) {
    const { x0, x1, y0, y1 } = at.view, px = fromX(x), py = fromY(y);
    const wide = clamp((x1 - x0) / factor, Math.min(NARROWEST, at.run.steps + 1), at.run.steps + 1);
    const tall = clamp((y1 - y0) / factor, Math.min(at.run.members, inner().height / TALLEST), at.run.members);
    const left = px - ((px - x0) / (x1 - x0)) * wide, top = py - ((py - y0) / (y1 - y0)) * tall;
    at.view = { x0: left, x1: left + wide, y0: top, y1: top + tall };
    pan(0, 0);
  }

  function pan(dx, dy) {
    const { x0, x1, y0, y1 } = at.view;
    const left = clamp(x0 - dx / cellWidth(), -0.5, at.run.steps + 0.5 - (x1 - x0));
    const top = clamp(y0 - dy / rowHeight(), 0, at.run.members - (y1 - y0));
    at.view = { x0: left, x1: left + x1 - x0, y0: top, y1: top + y1 - y0 };
    draw();
  }

  function reveal(row) {
    const x = toX(at.run.step[row]), y = middle(row), { width, height } = inner();
    const dx = x < size.left ? size.left + 20 - x : x > size.left + width ? size.left + width - 20 - x : 0;
    const dy = y < size.top ? size.top + 10 - y : y > size.top + height ? size.top + height - 10 - y : 0;
    if (dx || dy) pan(dx, dy);
  }

  function arrange(name) {
    sort.value = name;
    at.order = order[name](at.run);
    at.place = new Uint32Array(at.run.members);
    at.order.forEach((member, place) => (at.place[member] = place));
    picture = paint(null);
    select(at.selected);
  }

  function show(index) {
    if (!at.runs.has(index)) at.runs.set(index, read(index));
    at.run = at.runs.get(index);
    choose.value = String(index);
    at.selected = at.hovered = -1;
    at.way = [];
    tip.hidden = true;
    fit();
    whole();
    legends();
    arrange(sort.value);
  }

  function legends() {
    const run = at.run, bar = make("canvas", { width: 256, height: 1, class: "bar", "aria-hidden": "true" });
    const image = new ImageData(256, 1);
    for (let i = 0; i < 256; i++) image.data.set([...palette.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    bar.getContext("2d").putImageData(image, 0, 0);
    const least = run.score.reduce((a, b) => (b < a ? b : a), Infinity);
    const key = (name, label) => make("span", { class: "key" }, make("i", { class: name }), label);
    legend.replaceChildren(
      make("span", { class: "key" }, `${run.unit}: ${least < run.low ? "≤ " : ""}${text(run.low, 4)}`, bar, text(run.high, 4)),
      key("bad", "no score: diverged or failed"), key("start", "not evaluated yet"), key("line", "copied"), key("way", "ancestry of the choice"));
  }

  function fit() {
    const width = plot.clientWidth, narrow = width < 500;
    const height = clamp(at.run.members * 15 + 36, 170, narrow ? 400 : 560);
    size = { ...size, width, height, left: at.run.members > 999 ? 54 : 46, ratio: window.devicePixelRatio || 1 };
    plot.style.height = `${height}px`;
    for (const canvas of [base, over]) {
      canvas.width = Math.round(width * size.ratio);
      canvas.height = Math.round(height * size.ratio);
    }
  }

  function dress() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    theme = { ink: get("--ink"), quiet: get("--quiet"), paper: get("--paper"), accent: get("--way"), bad: rgb(get("--bad")), start: rgb(get("--start")) };
  }

  // ------------------------------------------------------------------------------ hands

  const fingers = new Map();
  let moved = 0;
  const local = (event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    fingers.set(event.pointerId, local(event));
    moved = fingers.size > 1 ? Infinity : 0;
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    const [x, y] = local(event), from = fingers.get(event.pointerId);
    if (!from) {
      if (event.pointerType !== "touch") hover(rowAt(x, y), x, y);
      return;
    }
    if (fingers.size === 1) {
      moved += Math.hypot(x - from[0], y - from[1]);
      if (moved > 5) {
        hover(-1);
        pan(x - from[0], y - from[1]);
      }
    } else if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const was = Math.hypot(from[0] - other[0], from[1] - other[1]);
      const is = Math.hypot(x - other[0], y - other[1]);
      pan((x - from[0]) / 2, (y - from[1]) / 2);
      if (was > 0 && is > 0) zoom(is / was, (x + other[0]) / 2, (y + other[1]) / 2);
    }
    if (moved > 5 || fingers.size > 1) fingers.set(event.pointerId, [x, y]);
  });
  plot.addEventListener("pointerup", (event) => {
    const [x, y] = local(event);
    if (fingers.delete(event.pointerId) && !fingers.size && moved <= 5) select(rowAt(x, y));
  });
  plot.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  plot.addEventListener("pointerleave", () => fingers.size || hover(-1));
  plot.addEventListener("wheel", (event) => {
    // only where it was asked for: a page that stops to scroll under the mouse is a trap
    if (!event.ctrlKey && document.activeElement !== plot) return;
    event.preventDefault();
    zoom(1.0016 ** clamp(-event.deltaY, -300, 300), ...local(event));
  }, { passive: false });
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  const go = (row) => {
    if (row < 0) return;
    select(row);
    reveal(row);
  };
  const start = () => cell(at.run, at.order[0], at.run.steps) >= 0 ? cell(at.run, at.order[0], at.run.steps) : at.run.last[at.order.find((m) => has(at.run, m))];
  function along(by) {
    if (at.selected < 0) return go(start());
    const row = at.selected + by, m = at.run.member[at.selected];
    if (row >= at.run.first[m] && row < at.run.first[m + 1]) go(row);
  }
  function across(by) {
    if (at.selected < 0) return go(start());
    const step = at.run.step[at.selected];
    for (let p = at.place[at.run.member[at.selected]] + by; p >= 0 && p < at.run.members; p += by)
      if (has(at.run, at.order[p])) {
        const there = cell(at.run, at.order[p], step);
        return go(there >= 0 ? there : at.run.last[at.order[p]]);
      }
  }
  const ofChosen = (which) => () => go(at.selected < 0 ? start() : which(at.run.member[at.selected]));
  const keys = {
    ArrowLeft: () => along(-1), ArrowRight: () => along(1), ArrowUp: () => across(-1), ArrowDown: () => across(1),
    Home: ofChosen((m) => at.run.first[m]), End: ofChosen((m) => at.run.last[m]),
    Enter: () => go(at.selected < 0 ? start() : at.selected), Escape: () => { hover(-1); select(-1); },
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => whole(),
    d: () => { below.checked = !below.checked; select(at.selected); },
  };

  // ------------------------------------------------------------------------------ tables

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => {
        const said = row.cells[column].textContent;
        return { row, said, number: said === "" || said === "none" ? NaN : Number(said) };
      });
      const numeric = rows.every(({ said, number }) => said === "none" || said === "" || !Number.isNaN(number));
      const way = down ? -1 : 1;
      rows.sort((a, b) => {
        if (!numeric) return way * a.said.localeCompare(b.said);
        const missing = Number.isNaN(a.number) - Number.isNaN(b.number); // these stay below
        return missing || (Number.isNaN(a.number) ? 0 : way * (a.number - b.number));
      });
      body.append(...rows.map(({ row }) => row));
    }));
  }
  // Say beside a table that is wider than its place that it scrolls, until its end is seen.
  function hint(place) {
    const rest = place.scrollWidth - place.clientWidth - place.scrollLeft;
    place.classList.toggle("more-right", rest > 1);
    place.classList.toggle("more-left", place.scrollLeft > 1);
    const wide = place.scrollWidth - place.clientWidth > 1;
    const sign = place.previousElementSibling;
    sign.hidden = !wide;
    sign.classList.toggle("seen", rest <= 1);
  }
  const watch = new ResizeObserver((entries) => entries.forEach(({ target }) => hint(target)));
  for (const place of document.querySelectorAll(".scroll")) {
    place.before(make("p", { class: "hint", hidden: true, "aria-hidden": "true" }, "scroll for more columns →"));
    place.addEventListener("scroll", () => hint(place), { passive: true });
    watch.observe(place);
    hint(place);
  }

  document.addEventListener("click", (event) => {
    const chosen = event.target.closest?.("button[data-row]");
    if (!chosen) return;
    const index = Number(chosen.closest("[data-run]").dataset.run);
    if (at.run.index !== index) show(index);
    go(Number(chosen.dataset.row));
    plot.focus({ preventScroll: true });
    byId("lineage").scrollIntoView({ block: "start" });
  });

  // ------------------------------------------------------------------------------ begin

  choose.append(...byId("lineage-runs").children);
  const field = (label, control) => make("label", {}, label, control);
  root.append(
    make("div", { class: "controls" },
      page.runs > 1 ? field("run ", choose) : null, field("members by ", sort),
      make("label", {}, links, " copies"), make("label", {}, below, " descendants of the choice"),
      make("span", { class: "zoom" }, button("−", "Zoom out", () => zoom(1 / 1.5)), button("+", "Zoom in", () => zoom(1.5)), button("All", "Show all", whole))),
    legend,
    make("div", { class: "stage" }, make("div", {}, plot, note,
      make("p", { class: "quiet" }, "Drag to move; pinch, or click and then turn the wheel, to zoom; arrow keys move the choice, Escape clears it.")), panel),
    live);
  dress();
  show(0);
  new ResizeObserver(() => {
    if (plot.clientWidth === size.width) return;
    fit();
    draw();
  }).observe(plot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    dress();
    arrange(sort.value);
  });

  window.report = {
    show, select, arrange, zoom, pan, whole, placeOf,
    row: (member, step) => cell(at.run, member, step),
    ancestry: (row) => ancestry(at.run, row),
    descendants: (row) => descendants(at.run, row),
    describe: (row) => describe(at.run, row),
    get run() { return at.run; },
    get order() { return at.order; },
    get selected() { return at.selected; },
    get hovered() { return at.hovered; },
    get highlighted() { return at.marked ? [...at.marked].sort((a, b) => a - b) : []; },
    get view() { return { ...at.view }; },
  };
})();
