"use strict";
// Everything that a model wrote is put on the page with textContent: it is never read as markup.

const data = JSON.parse(document.getElementById("data").textContent);

function element(tag, className = "", text = null, children = []) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

function number(value) {
  if (value === null) return "–";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : value.toPrecision(4).replace(/\.?0+$/, "");
}

// ---- curves: the values under the pointer

function nearest(points, x) {
  return points.reduce((best, point) => (best === null || Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best), null);
}

function attachHover(figure) {
  const chart = data.charts[Number(figure.dataset.chart)];
  const plot = figure.querySelector(".plot");
  const [svg, rule, tip] = [plot.querySelector("svg"), plot.querySelector(".rule"), plot.querySelector(".tip")];
  const area = chart.area;
  const hide = () => { rule.hidden = tip.hidden = true; };
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect();
    const scale = frame.width / svg.viewBox.baseVal.width;
    const pointed = (event.clientX - frame.left) / scale;
    if (pointed < area.left - 6 || pointed > area.right + 6) return hide();
    const x = area.xMin + ((pointed - area.left) / (area.right - area.left)) * (area.xMax - area.xMin);
    const at = nearest(chart.series.flatMap((series) => series.points), x);
    if (at === null) return hide();
    const left = (area.left + ((at[0] - area.xMin) / (area.xMax - area.xMin)) * (area.right - area.left)) * scale;
    Object.assign(rule.style, { left: `${left}px`, top: `${area.top * scale}px`, height: `${(area.bottom - area.top) * scale}px` });
    tip.replaceChildren(element("div", "quiet", `${chart.xLabel} ${number(at[0])}`));
    for (const series of chart.series) {
      const point = nearest(series.points, at[0]);
      if (point === null) continue;
      const shown = chart.share && typeof point[1] === "number" ? `${(100 * point[1]).toFixed(1)} %` : number(point[1]);
      const where = point[0] === at[0] ? "" : ` (at ${number(point[0])})`;
      tip.append(element("div", "", null, [element("i", `swatch s${series.colour}`), `${series.label} ${shown}${where}`]));
    }
    rule.hidden = tip.hidden = false;
    const onRight = left > frame.width / 2;
    Object.assign(tip.style, { left: onRight ? "auto" : `${left + 10}px`, right: onRight ? `${frame.width - left + 10}px` : "auto" });
  });
}

document.querySelectorAll("figure[data-chart]").forEach(attachHover);

// ---- rollouts

const VERDICTS = { right: "✓", wrong: "✗", ungraded: "?", none: "·" };

function verdictOf(rollout) {
  if (rollout.ungraded !== null) return "ungraded";
  if (rollout.verdict === null) return "none";
  return rollout.verdict ? "right" : "wrong";
}

function block(title, className, ...children) {
  return element("section", className, null, [element("h3", "", title), ...children]);
}

function imageView(name) {
  if (!(name in data.images)) return element("div", "missing", `image left out: rollouts/images/${name}`);
  const image = element("img");
  image.src = data.images[name];
  image.alt = "an image of the prompt or of a tool";
  return image;
}

// Images are numbered as calls name them, through the whole conversation: those of these messages from `first` on.
function messageViews(messages, first) {
  let index = first;
  return messages.map((message) => {
    const view = element("div", "message", null, [element("div", "role", message.role)]);
    for (const part of message.parts) {
      if (part.image === null) view.append(element("pre", "", part.text));
      else view.append(element("div", "quiet", `image ${index++}`), imageView(part.image));
    }
    return view;
  });
}

// The image that a call looks into, with its box (0 to 1000 of either side); null for a call without one.
function zoomView(call, images) {
  const { bbox_2d: box, img_idx: index } = call.arguments;
  if (!Array.isArray(box) || box.length !== 4 || !box.every(Number.isFinite) || images[index] === undefined) return null;
  const frame = element("div", "zoomed", null, [imageView(images[index])]);
  const [left, top, right, bottom] = box.map((value) => Math.min(1000, Math.max(0, value)) / 10);
  const mark = element("div", "box");
  Object.assign(mark.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  frame.append(mark);
  return frame;
}

function callView(call, images) {
  const view = element("div", "call", null, [element("pre", "", `${call.name} ${JSON.stringify(call.arguments)}`)]);
  const zoomed = zoomView(call, images);
  if (zoomed !== null) view.append(element("div", "quiet", `image ${call.arguments.img_idx}, and where it looked`), zoomed);
  return view;
}

function splitThinking(text) {
  const end = text.lastIndexOf("</think>");
  return end < 0 ? ["", text] : [text.slice(0, end).replace(/^<think>/, "").trim(), text.slice(end + "</think>".length).trim()];
}

// One turn that called tools: what it thought and said, each call with what came back. A call that could not be read is in the text alone.
function turnView(number, said, responses, images) {
  const [thinking, text] = splitThinking(said.parts.map((part) => part.text ?? "").join(""));
  const children = thinking ? [element("div", "role", "thinks"), element("pre", "", thinking)] : [];
  children.push(element("div", "role", "says"), element("pre", "", text));
  const paired = said.tool_calls.length === responses.length;
  const views = messageViews(responses, images.length);
  said.tool_calls.forEach((call, index) => {
    children.push(callView(call, images));
    if (paired) children.push(views[index]);
  });
  if (!paired) children.push(...views);
  return block(`Turn ${number}`, "turn", ...children);
}

function responseViews(rollout) {
  const imagesOf = (messages) => messages.flatMap((message) => message.parts.map((part) => part.image)).filter((name) => name !== null);
  const images = imagesOf(rollout.segments[0]?.messages ?? []);
  const turns = rollout.segments.slice(1);
  const last = turns.map((segment) => segment.kind).lastIndexOf("sampled");
  const views = [];
  turns.forEach((segment, place) => {
    if (segment.kind !== "sampled" || place === last) return;
    const responses = turns[place + 1].messages;
    views.push(turnView(views.length + 1, segment.messages[0], responses, images));
    images.push(...imagesOf(responses));
  });
  if (rollout.thinking) views.push(block("Thinking", "thinking", element("pre", "", rollout.thinking)));
  views.push(block("Answer", "answer", element("pre", rollout.answer_text ? "" : "quiet", rollout.answer_text || "none: the response ended before it")));
  const unanswered = last < 0 ? [] : turns[last].messages[0].tool_calls;
  if (unanswered.length) views.push(block("Calls without a response", "turn", ...unanswered.map((call) => callView(call, images))));
  return views;
}

function gradeView(rollout) {
  const { kind, ...target } = rollout.target;
  const rows = [["expected", `${kind} ${JSON.stringify(target)}`], ["read from the answer", rollout.extracted ?? "–"]];
  for (const [name, value] of Object.entries(rollout.parts)) {
    const { weight = 1, gate } = rollout.graded_by[name] ?? {};
    const words = [number(value), ...(weight === 1 ? [] : [`weight ${number(weight)}`]), ...(gate ? [`only where ${gate} is right`] : [])];
    rows.push([`part ${name}`, words.join(", ")]);
  }
  if (rollout.expected_calls !== null) rows.push(["calls", `${rollout.executed_calls.length} ran, ${rollout.expected_calls} needed`]);
  if (rollout.failed_calls.length) rows.push(["failed calls", rollout.failed_calls.join(", ")]);
  for (const call of rollout.executed_calls) rows.push([`ran ${call.name}`, `${call.ok ? "in" : "refused after"} ${number(call.seconds)} s`]);
  if (rollout.ungraded !== null) rows.push(["could not be graded", `${rollout.ungraded}: ${rollout.ungraded_detail}`]);
  const body = element("tbody", "", null, rows.map(([label, value]) => {
    const cell = element("td", "", null, [element("pre", "", value)]);
    cell.style.textAlign = "left";
    return element("tr", "", null, [element("td", "quiet", label), cell]);
  }));
  return block("Grade", "", element("table", "", null, [body]));
}

function tokensView(rollout) {
  const strip = element("div", "strip", null, rollout.mask.map(([kind, count]) => {
    const run = element("span", kind);
    run.style.flex = `${count} 0 0`;
    run.title = `${count} ${kind}`;
    return run;
  }));
  const counted = (kind) => rollout.mask.reduce((sum, run) => sum + (run[0] === kind ? run[1] : 0), 0);
  const key = element("div", "key quiet", null, [
    element("i", "sampled"), `${counted("sampled")} sampled: they have a loss`, element("i", "given"), `${counted("given")} given: attended to, masked from the loss`,
  ]);
  const text = element("pre", "", null, rollout.segments.map((segment) => element("span", segment.kind, segment.text)));
  return block("Tokens", "tokens", strip, key, text);
}

function show(rollout) {
  const verdict = verdictOf(rollout);
  const chips = [
    `reward ${number(rollout.reward)}`, `advantage ${number(rollout.advantage)}`, rollout.status, `policy version ${number(rollout.policy_version)}`,
  ].map((text) => element("span", "chip", text));
  chips.unshift(element("span", `chip ${verdict}`, `${VERDICTS[verdict]} ${verdict === "none" ? "no verdict" : verdict}`));
  const detail = document.getElementById("detail");
  detail.replaceChildren(
    element("p", "quiet", `step ${rollout.step} · ${rollout.task} · ${rollout.problem_id} · attempt ${rollout.index}`),
    element("div", "chips", null, chips),
    block("Prompt", "", ...messageViews(rollout.segments[0]?.messages ?? [], 0)),
    ...responseViews(rollout), gradeView(rollout), tokensView(rollout),
  );
  detail.scrollTop = 0;
}

function select(position) {
  for (const button of document.querySelectorAll("#list button")) {
    const chosen = Number(button.dataset.position) === position;
    button.setAttribute("aria-selected", String(chosen));
    if (chosen) button.scrollIntoView({ block: "nearest" });
  }
  show(data.rollouts[position]);
}

function matches(rollout, wanted) {
  const text = wanted.text.toLowerCase();
  return (wanted.task === "" || rollout.task === wanted.task)
    && (wanted.step === "" || String(rollout.step) === wanted.step)
    && (wanted.verdict === "" || verdictOf(rollout) === wanted.verdict)
    && (wanted.status === "" || rollout.status === wanted.status)
    && (text === "" || rollout.segments.some((segment) => segment.text.toLowerCase().includes(text)));
}

function listButton(rollout, position) {
  const verdict = verdictOf(rollout);
  const button = element("button", "", null, [
    element("span", verdict, VERDICTS[verdict]), element("span", "text", rollout.answer_text || rollout.thinking),
    element("span", "quiet", number(rollout.reward)), element("span", "quiet", rollout.advantage === null ? "" : `A ${number(rollout.advantage)}`),
  ]);
  button.type = "button";
  button.dataset.position = String(position);
  button.setAttribute("role", "option");
  button.addEventListener("click", () => select(position));
  return button;
}

function refresh() {
  const wanted = Object.fromEntries(new FormData(document.getElementById("filters")));
  const found = data.rollouts.map((rollout, position) => ({ rollout, position })).filter(({ rollout }) => matches(rollout, wanted));
  const list = document.getElementById("list");
  list.replaceChildren();
  let group = null;
  for (const { rollout, position } of found) {
    const key = `step ${rollout.step} · ${rollout.task} · ${rollout.problem_id}`;
    if (key !== group) list.append(element("div", "group", key));
    group = key;
    list.append(listButton(rollout, position));
  }
  document.getElementById("count").textContent = `${found.length} of ${data.rollouts.length}`;
  if (found.length) select(found[0].position);
  else document.getElementById("detail").replaceChildren(element("p", "quiet", "Nothing matches."));
}

function move(event) {
  const delta = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (delta === undefined) return;
  event.preventDefault();
  const buttons = [...document.querySelectorAll("#list button")];
  const next = buttons.findIndex((button) => button.getAttribute("aria-selected") === "true") + delta;
  if (next >= 0 && next < buttons.length) select(Number(buttons[next].dataset.position));
}

function fill(name, values) {
  const choice = document.getElementById("filters").elements[name];
  const options = [["", "all"], ...values.map((value) => [String(value), value === "none" ? "no verdict" : String(value)])];
  choice.replaceChildren(...options.map(([value, label]) => new Option(label, value)));
}

if (data.rollouts.length) {
  const distinct = (of) => [...new Set(data.rollouts.map(of))];
  fill("task", distinct((rollout) => rollout.task).sort());
  fill("step", distinct((rollout) => rollout.step));
  fill("verdict", distinct(verdictOf).sort());
  fill("status", distinct((rollout) => rollout.status).sort());
  const filters = document.getElementById("filters");
  filters.addEventListener("input", refresh);
  filters.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("list").addEventListener("keydown", move);
  refresh();
}
