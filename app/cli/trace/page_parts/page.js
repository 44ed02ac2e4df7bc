"use strict";
// Everything of the model's is put in as text (textContent), never as markup.
const doc = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const details = byId("details");
const tokens = []; // {data, span, reply} of every token on the page, in order
let now = -1;
let held = false;
let tint = "";

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// Written and graded as in app/domain/probability.py.
function percent(p) {
  const share = 100 * (p || 0);
  if (share <= 0) return "0 %";
  if (share < 0.0005) return "<0.001 %";
  if (share >= 9.95) return (share >= 100 ? "100" : Math.min(share, 99).toFixed(0)) + " %";
  return share.toFixed(share >= 0.095 ? 1 : share >= 0.0095 ? 2 : 3) + " %";
}
const ms = (value) => (value === null ? "–" : value.toFixed(value < 10 ? 2 : 1) + " ms");
const visible = (text) => text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");

function piece(token) {
  return visible(token.text) || "(no text)";
}

// The page

function showReply(message, number) {
  const section = make("section");
  const trace = message.trace;
  section.append(make("p", "facts", facts(message)));
  if (trace && trace.prompt.length) section.append(prompt(trace));
  const reply = make("div", "reply");
  reply.tabIndex = 0;
  reply.setAttribute("role", "group");
  reply.setAttribute("aria-label", "Reply " + number + ", token by token");
  if (!trace) {
    reply.append(make("span", "rest", message.content || "(no text)"));
  } else {
    for (const data of trace.tokens) {
      const silent = data.shown === "";
      const span = make("span", silent ? "t silent" : "t", silent ? visible(data.text) : data.shown);
      span.dataset.index = String(tokens.length);
      tokens.push({ data, span, reply, top: { message, trace } });
      reply.append(span);
    }
    if (trace.rest) reply.append(make("span", "rest", trace.rest));
  }
  section.append(reply);
  return section;
}

function facts(message) {
  const made = message.generation;
  const parts = message.trace ? [message.trace.tokens.length + " tokens"] : ["not traced"];
  if (made) {
    parts.unshift(made.model, "preset " + made.preset, "seed " + made.seed);
    parts.push(made.timings.decode_tps.toFixed(1) + " tokens/s", "first after " + ms(made.timings.ttft_ms));
    const stop = made.stop ? " (" + made.stop.kind + " " + visible(made.stop.text) + ")" : "";
    parts.push("ended: " + made.finish_reason + stop);
  }
  if (message.state !== "done") parts.push(message.state);
  return parts.join(" · ");
}

function prompt(trace) {
  const box = make("details");
  const fresh = trace.prompt.length - trace.n_cached;
  box.append(make("summary", "", "What was sent: " + trace.prompt.length + " tokens, " + fresh + " computed, "
    + trace.n_cached + " from the cache (shaded)"));
  const text = make("div", "prompt");
  trace.prompt.forEach((token, index) => {
    const names = [token.is_control ? "control" : "", index < trace.n_cached ? "cached" : ""];
    text.append(make("span", names.join(" ").trim(), token.text));
  });
  box.append(text);
  return box;
}

// One token

function row(table, cells, className) {
  const line = make("tr", className);
  for (const [text, name] of cells) line.append(make("td", name, text));
  table.append(line);
  return line;
}

function bars(chosen, list, valueOf, wasCut) {
  const table = make("table");
  for (const each of list) {
    const p = valueOf(each);
    const mark = each.id === chosen.id ? "chosen" : wasCut(each) ? "cut" : "";
    const line = row(table, [[mark === "chosen" ? "▶" : "", ""], [piece(each), "piece"], [percent(p), "n"]], mark);
    const track = make("div", "track");
    const bar = make("div", "bar");
    bar.style.width = 100 * Math.max(0, Math.min(1, p || 0)) + "%";
    track.append(bar);
    const cell = make("td");
    cell.append(track);
    line.append(cell);
  }
  return table;
}

function showToken(index) {
  const { data, top } = tokens[index];
  details.replaceChildren(make("h2", "", piece(data)));
  const number = top.trace.tokens.indexOf(data) + 1;
  const figures = make("table");
  const lines = [
    ["token", number + " of " + top.trace.tokens.length + ", id " + data.id],
    ["probability", percent(data.p) + ", rank " + data.rank],
    ["logprob", data.logprob === null ? "−∞" : data.logprob.toFixed(4)],
    ["entropy", data.entropy === null ? "–" : data.entropy.toFixed(3) + " bits"],
    ["P(end)", percent(data.p_end)],
    ["time", ms(data.ms) + (number === 1 ? " since the request" : "")],
    ["of it", "decode " + ms(data.decode_ms) + ", sampling " + ms(data.sample_ms) + ", text " + ms(data.text_ms)],
    ["origin", data.origin],
  ];
  for (const line of lines) row(figures, [[line[0], "k"], [line[1], "v"]]);
  details.append(figures);
  if (data.top.length) {
    details.append(make("h3", "", "Before the sampler"));
    const all = data.top.some((each) => each.id === data.id) ? data.top : [...data.top, data];
    details.append(bars(data, all, (each) => each.p, () => false));
  }
  if (data.ghosts.length) {
    details.append(make("h3", "", "Drafted and rejected: " + data.ghosts.map(piece).join(" ")));
  }
  showStages(data);
}

function showStages(data) {
  if (!data.stages.length) return;
  details.append(make("h3", "", "Stages of the sampler"));
  const table = make("table");
  for (const stage of data.stages) row(table, [[stage.name, ""], [stage.n_in + " → " + stage.n_out, "n"]]);
  details.append(table, make("h3", "", "After the sampler"));
  const last = data.stages[data.stages.length - 1].p;
  const after = data.top.map((each, place) => ({ ...each, p: last[place] || 0 }));
  details.append(bars(data, after, (each) => each.p, (each) => each.p === 0));
  if (data.draw) {
    const { u, low, high } = data.draw;
    details.append(make("p", "", "The draw " + u.toFixed(4) + " fell between " + low.toFixed(4) + " and " + high.toFixed(4) + "."));
  }
}

// Tints: up to four steps of heat, told by shade and by line

const STEPS = {
  p: { of: (token) => -token.p, at: [-0.5, -0.1, -0.01, -0.001], words: "p below 50 %, 10 % (dotted), 1 % (line), 0.1 % (double line)" },
  entropy: { of: (token) => token.entropy, at: [1, 3, 5], words: "entropy over 1, 3 (dotted), 5 bits (line)" },
  ms: { of: (token) => token.ms, at: null, words: "" },
};

function slow() {
  const sorted = tokens.filter((each) => each.data !== each.top.trace.tokens[0]).map((each) => each.data.ms).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] || 0;
  return [1.5 * median, 2 * median, 4 * median];
}

function paint() {
  const steps = STEPS[tint];
  const limits = steps && (steps.at || slow());
  for (const { data, span } of tokens) {
    const heat = steps ? limits.filter((limit) => steps.of(data) > limit).length : 0;
    span.classList.remove("h1", "h2", "h3", "h4");
    if (heat) span.classList.add("h" + heat);
  }
  const words = tint === "ms" ? "slower than " + ms(limits[0]) + ", " + ms(limits[1]) + " (dotted), " + ms(limits[2]) + " (line)" : steps && steps.words;
  byId("legend").textContent = words ? "Shaded: " + words : "";
}

// Walking

function go(index) {
  if (index < 0 || index >= tokens.length) return;
  if (now >= 0) tokens[now].span.classList.remove("now");
  now = index;
  tokens[now].span.classList.add("now");
  showToken(now);
}

function goLine(step) {
  const from = tokens[now].span.getClientRects()[0];
  let best = -1;
  let least = Infinity;
  let line = null;
  for (let index = now + step; index >= 0 && index < tokens.length; index += step) {
    const box = tokens[index].span.getClientRects()[0];
    if (!box || Math.abs(box.top - from.top) < box.height / 2) continue;
    if (line === null) line = box.top;
    if (Math.abs(box.top - line) >= box.height / 2) break;
    const away = Math.abs(box.left - from.left);
    if (away < least) [best, least] = [index, away];
  }
  go(best);
}

function goSurprising() {
  for (let step = 1; step <= tokens.length; step += 1) {
    const index = (now + step) % tokens.length;
    const { p, entropy } = tokens[index].data;
    if (p < 0.1 || entropy >= 3) return go(index); // as the inspector
  }
}

function ends() {
  const own = tokens.map((each, index) => index).filter((index) => tokens[index].reply === tokens[now].reply);
  return [own[0], own[own.length - 1]];
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !tokens.length || event.target.tagName === "INPUT") return;
  const keys = {
    ArrowLeft: () => go(now - 1), ArrowRight: () => go(now + 1), ArrowUp: () => goLine(-1), ArrowDown: () => goLine(1),
    Home: () => go(ends()[0]), End: () => go(ends()[1]), n: goSurprising, t: nextTint,
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  held = true;
  if (now < 0) go(0);
  else keys[event.key]();
  tokens[now].span.scrollIntoView({ block: "nearest" });
});

function nextTint() {
  const all = [...document.querySelectorAll("#tints input")];
  const next = all[(all.findIndex((each) => each.checked) + 1) % all.length];
  next.checked = true;
  tint = next.value;
  paint();
}

const indexOf = (event) => (event.target.dataset && event.target.dataset.index !== undefined ? Number(event.target.dataset.index) : -1);
byId("talk").addEventListener("mouseover", (event) => {
  if (!held && indexOf(event) >= 0) go(indexOf(event));
});
byId("talk").addEventListener("click", (event) => {
  const index = indexOf(event);
  held = index >= 0 && !(held && index === now);
  if (index >= 0) go(index);
});
byId("tints").addEventListener("change", (event) => {
  tint = event.target.value;
  paint();
});

byId("title").textContent = doc.title;
let number = 0;
for (const message of doc.messages) {
  if (message.role === "assistant") byId("talk").append(showReply(message, (number += 1)));
  else byId("talk").append(make("div", "said", message.content));
}
if (tokens.length) go(0);
