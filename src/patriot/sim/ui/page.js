"use strict";
const EVERY_MS = 1000, GIVE_UP_MS = 5000, KEY = "patriot-sim-token";
const $ = (id) => document.getElementById(id);
const wanted = { venue: "", symbol: "", interval: "1m" };
let token = "", view = null, failures = 0, hoverAt = null, timer = 0, asked = 0;

/* Text from the simulator is other people's input: it is only ever set as text. */
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "class") element.className = value;
    else if (name.startsWith("aria-") || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) => child instanceof Node ? child : String(child)));
  return element;
}

async function ask(method, path, body) {
  const abort = new AbortController(), late = setTimeout(() => abort.abort(), GIVE_UP_MS);
  try {
    const headers = { Authorization: "Bearer " + token };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: abort.signal, cache: "no-store" });
    const content = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(content.detail || "refused"), { status: answer.status });
    return content;
  } finally { clearTimeout(late); }
}

/* ------------------------------------------------------------------------------------------------ token */

function showGate(problem) {
  clearTimeout(timer);
  token = "";
  sessionStorage.removeItem(KEY);
  $("page").hidden = $("loading").hidden = $("banner").hidden = true;
  for (const id of ["venue", "symbol", "interval"]) $(id).hidden = true;
  $("gate").hidden = false;
  $("gate-problem").textContent = problem;
  $("token").focus();
}

$("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  open($("token").value.trim());
  $("token").value = "";
});

function open(given) {
  token = given;
  $("gate").hidden = true;
  $("loading").hidden = view !== null;
  look();
}

/* ------------------------------------------------------------------------------------------------ polling */

async function look() {
  clearTimeout(timer);
  const number = ++asked, chosen = Object.entries(wanted).filter(([, value]) => value);
  try {
    const fresh = await ask("GET", "view?" + new URLSearchParams(chosen));
    if (number !== asked) return;
    sessionStorage.setItem(KEY, token);
    failures = 0;
    view = fresh;
    draw();
  } catch (error) {
    if (number !== asked) return;
    if (error.status === 401) { showGate("This is not the token of this simulator."); return; }
    if (error.status === 404 && (wanted.symbol || wanted.venue)) { wanted.symbol = wanted.venue = ""; }
    failures += 1;
    $("banner").textContent = error.status ? "The simulator refuses: " + error.message : "Connection lost. Trying again every second; what you see is old.";
    $("banner").hidden = failures < 2 && view !== null;
    $("loading").hidden = view !== null || !$("banner").hidden;
    document.body.classList.toggle("stale", view !== null && !$("banner").hidden);
  }
  timer = setTimeout(look, EVERY_MS);
}

document.addEventListener("visibilitychange", () => { if (token && !document.hidden) look(); else clearTimeout(timer); });

/* ------------------------------------------------------------------------------------------------ drawing */

const number = (text) => Number(text);
const two = (value) => String(value).padStart(2, "0");
function clock(ms, withDate) {
  const at = new Date(ms), time = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(":");
  return withDate ? at.toISOString().slice(0, 10) + " " + time + " UTC" : time;
}
function money(text) { return number(text).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }); }
function decimals() { const [, part = ""] = view.tick_size.split("."); return part.length; }
function priced(value) { return Number(value).toLocaleString("en-US", { minimumFractionDigits: decimals(), maximumFractionDigits: decimals() }); }
function trimmed(text) { return number(text).toLocaleString("en-US", { maximumSignificantDigits: 8 }); }
function signed(text) { return make("span", { class: number(text) > 0 ? "up" : number(text) < 0 ? "down" : "" }, money(text)); }
function sided(side, text) { return make("span", { class: side === "BUY" || side === "LONG" ? "up" : "down" }, text); }

function fill(select, values, chosen) {
  const old = [...select.options].map((option) => option.value).join();
  if (old !== values.join()) select.replaceChildren(...values.map((value) => make("option", { value, textContent: value })));
  select.value = chosen;
  select.hidden = false;
}

function table(id, empty, heads, rows) {
  const place = $(id);
  if (!rows.length) { place.replaceChildren(make("p", { class: "none" }, empty)); return; }
  const head = make("tr", {}, ...heads.map(([name, kind]) => make("th", { class: kind || "", scope: "col" }, name)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, index) => make("td", { class: heads[index][1] || "", title: heads[index][1] === "text client" ? String(cell) : "" }, cell))));
  const scrolled = place.scrollTop;
  place.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  place.scrollTop = scrolled;
}

function draw() {
  $("loading").hidden = $("banner").hidden = true;
  $("page").hidden = false;
  document.body.classList.remove("stale");
  fill($("venue"), view.venues, view.venue);
  fill($("symbol"), view.symbols, view.symbol);
  fill($("interval"), view.intervals, view.interval);
  $("price").textContent = view.ticker ? priced(view.ticker.last) : "";
  $("status").hidden = view.status === "TRADING";
  $("status").textContent = view.status;
  const funding = view.funding ? "funding " + (number(view.funding.rate) * 100).toFixed(4) + " % · " : "";
  $("meta").textContent = (view.ticker ? "mark " + priced(view.ticker.mark) + " · " : "") + funding + clock(view.now_ms, true) + (view.stepped ? " · stepped" : "");
  document.title = (view.ticker ? priced(view.ticker.last) + " " : "") + view.symbol + " · PATRIOT sim";
  drawTables();
  drawBook();
  drawFaults();
  drawChart();
}

function drawTables() {
  const orders = [...view.orders, ...view.algo_orders].sort((a, b) => b.at_ms - a.at_ms);
  table("orders", "No open orders in " + view.symbol + ".",
    [["Account"], ["Side", "text"], ["Type", "text"], ["Price"], ["Trigger"], ["Quantity"], ["Filled"], ["Client id", "text client"], ["Since"]],
    orders.map((order) => [order.uid, sided(order.side, order.side), order.type, number(order.price) ? priced(order.price) : "–",
      order.trigger_price === undefined ? "–" : priced(order.trigger_price), order.close_position ? "all" : order.quantity, order.filled || "–", order.client_order_id, clock(order.at_ms)]));
  const positions = view.accounts.flatMap((account) => account.positions.map((position) => ({ uid: account.uid, ...position })));
  table("positions", "No positions.",
    [["Account"], ["Symbol", "text"], ["Side", "text"], ["Quantity"], ["Entry"], ["Mark"], ["Unrealized"], ["Liquidation"], ["Margin", "text"]],
    positions.map((p) => { const side = number(p.quantity) > 0 ? "LONG" : "SHORT"; return [p.uid, p.symbol, sided(side, side), p.quantity, trimmed(p.entry_price), trimmed(p.mark_price), signed(p.unrealized_pnl),
      number(p.liquidation_price) ? trimmed(p.liquidation_price) : "–", p.leverage + "x " + p.margin_type.toLowerCase()]; }));
  table("fills", "No fills in " + view.symbol + ".",
    [["Time"], ["Account"], ["Side", "text"], ["Price"], ["Quantity"], ["As", "text"], ["Client id", "text client"]],
    view.fills.slice().reverse().map((f) => [clock(f.at_ms), f.uid, sided(f.side, f.side), priced(f.price), f.quantity, f.maker ? "maker" : "taker", f.client_order_id]));
  table("accounts", "No accounts on " + view.venue + ".", [["Account"], ["Equity"], ["Available"], ["Positions"]],
    view.accounts.map((account) => [account.uid, money(account.equity), money(account.available), account.positions.length]));
  const more = view.accounts_in_all > view.accounts.length ? " (" + view.accounts.length + " of " + view.accounts_in_all + ")" : "";
  $("accounts-title").textContent = "Accounts" + more;
}

function drawBook() {
  const asks = view.asks.slice(0, 12).reverse(), bids = view.bids.slice(0, 12);
  if (!asks.length && !bids.length) { $("book").replaceChildren(make("p", { class: "none" }, "No book before the first price.")); $("spread").textContent = ""; return; }
  const most = Math.max(...asks.concat(bids).map((level) => number(level[1])));
  const row = (kind) => ([price, quantity]) => {
    const bar = make("i", { "aria-hidden": "true" });
    bar.style.width = Math.round(100 * number(quantity) / most) + "%";
    return make("div", { class: "level " + kind }, bar, make("span", { class: kind === "bid" ? "up" : "down" }, priced(price)), make("span", {}, quantity));
  };
  const middle = make("div", { class: "middle" }, make("span", {}, "last " + (view.ticker ? priced(view.ticker.last) : "–")), make("span", {}, "quantity"));
  $("book").replaceChildren(...asks.map(row("ask")), middle, ...bids.map(row("bid")));
  $("spread").textContent = asks.length && bids.length ? "spread " + priced(number(view.asks[0][0]) - number(view.bids[0][0])) : "";
}

/* ------------------------------------------------------------------------------------------------ chart */

function drawChart() {
  const canvas = $("chart"), box = canvas.getBoundingClientRect(), scale = devicePixelRatio || 1;
  if (!box.width) return;
  if (canvas.width !== Math.round(box.width * scale)) canvas.width = Math.round(box.width * scale);
  if (canvas.height !== Math.round(box.height * scale)) canvas.height = Math.round(box.height * scale);
  const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue("--" + name).trim();
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const right = 78, bottom = 22, top = 10, width = box.width - right, height = box.height - bottom - top;
  const room = Math.max(20, Math.floor(width / 7));
  const bars = view.bars.slice(-room).map(([at, ...prices]) => [at, ...prices.map(number)]);
  if (!bars.length) { pen.fillStyle = color("faint"); pen.fillText("No bars yet.", 14, 20); canvas.setAttribute("aria-label", "No bars yet"); return; }
  const last = number(view.ticker ? view.ticker.last : bars.at(-1)[4]);
  let high = Math.max(last, ...bars.map((bar) => bar[2])), low = Math.min(last, ...bars.map((bar) => bar[3]));
  const reach = Math.max(high - low, last * 0.002), lines = [];
  for (const order of [...view.orders, ...view.algo_orders]) {
    const price = number(order.trigger_price || order.price);
    if (!price || price > high + 2 * reach || price < low - 2 * reach) continue;
    lines.push({ price, order });
    high = Math.max(high, price); low = Math.min(low, price);
  }
  const pad = Math.max((high - low) * 0.06, last * 0.0002);
  high += pad; low -= pad;
  const step = width / Math.max(bars.length, 40), x = (index) => index * step + step / 2, y = (price) => top + (high - price) / (high - low) * height;
  drawGrid(pen, color, { bars, x, y, high, low, width, bottom: box.height - bottom / 2, boxWidth: box.width, floor: top + height });
  bars.forEach(([, open, highest, lowest, close], index) => {
    pen.fillStyle = pen.strokeStyle = color(close >= open ? "up" : "down");
    pen.fillRect(Math.round(x(index)) - 0.5, y(highest), 1, Math.max(1, y(lowest) - y(highest)));
    const body = Math.max(1, Math.floor(step * 0.64)), from = y(Math.max(open, close));
    pen.fillRect(x(index) - body / 2, from, body, Math.max(1, y(Math.min(open, close)) - from));
  });
  lines.forEach(({ price, order }) => drawOrder(pen, color, order, price, y(price), width));
  drawFills(pen, color, bars, x, y, low, high);
  label(pen, color("accent"), color("accent-ink"), priced(last), width, y(last));
  drawHover(pen, color, bars, step, x, y, top, height, width);
  canvas.setAttribute("aria-label", `${view.symbol} ${view.interval} candles, last ${priced(last)}, ${lines.length} orders shown as lines`);
}

function drawGrid(pen, color, { bars, x, y, high, low, width, bottom, boxWidth, floor }) {
  pen.lineWidth = 1;
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough)), size = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  for (let price = Math.ceil(low / size) * size; price < high; price += size) {
    pen.strokeStyle = color("grid");
    pen.beginPath(); pen.moveTo(0, Math.round(y(price)) + 0.5); pen.lineTo(width, Math.round(y(price)) + 0.5); pen.stroke();
    pen.fillStyle = color("faint"); pen.textAlign = "left"; pen.fillText(priced(price), width + 6, y(price));
  }
  const every = Math.max(1, Math.ceil(Math.max(bars.length, 40) / Math.max(2, Math.floor(boxWidth / 110))));
  const daily = bars.length > 1 && bars[1][0] - bars[0][0] >= 43200000;
  pen.textAlign = "center";
  for (let index = Math.floor(every / 2); index < bars.length; index += every) {
    const at = new Date(bars[index][0]);
    pen.fillText(daily ? at.toISOString().slice(5, 10) : two(at.getUTCHours()) + ":" + two(at.getUTCMinutes()), x(index), bottom);
  }
  pen.textAlign = "left";
  pen.strokeStyle = color("edge");
  pen.beginPath(); pen.moveTo(0, floor + 0.5); pen.lineTo(boxWidth, floor + 0.5); pen.stroke();
}

function drawOrder(pen, color, order, price, at, width) {
  pen.strokeStyle = pen.fillStyle = color(order.side === "BUY" ? "up" : "down");
  pen.setLineDash(order.trigger_price === undefined ? [6, 3] : [2, 3]);
  pen.beginPath(); pen.moveTo(0, Math.round(at) + 0.5); pen.lineTo(width, Math.round(at) + 0.5); pen.stroke();
  pen.setLineDash([]);
  const words = `${order.uid} ${order.side} ${order.close_position ? "all" : order.quantity} ${order.type}`;
  pen.textAlign = "left";
  pen.fillText(words, 6, at - 7);
}

function drawFills(pen, color, bars, x, y, low, high) {
  const span = bars.length > 1 ? bars[1][0] - bars[0][0] : 60000;
  for (const f of view.fills) {
    const index = Math.floor((f.at_ms - bars[0][0]) / span), price = number(f.price);
    if (index < 0 || index >= bars.length || price < low || price > high) continue;
    const buy = f.side === "BUY", tip = y(price), foot = tip + (buy ? 10 : -10);
    pen.beginPath(); pen.moveTo(x(index), tip); pen.lineTo(x(index) - 5, foot); pen.lineTo(x(index) + 5, foot); pen.closePath();
    pen.fillStyle = color(buy ? "up" : "down"); pen.fill();
    pen.strokeStyle = color("panel"); pen.lineWidth = 1; pen.stroke();
  }
}

function label(pen, ground, ink, text, left, at) {
  pen.fillStyle = ground; pen.fillRect(left, at - 9, 78, 18);
  pen.fillStyle = ink; pen.textAlign = "left"; pen.fillText(text, left + 6, at);
}

function drawHover(pen, color, bars, step, x, y, top, height, width) {
  if (hoverAt === null) { $("hover").textContent = ""; return; }
  const index = Math.min(bars.length - 1, Math.max(0, Math.floor(hoverAt / step))), [at, open, highest, lowest, close, volume] = bars[index];
  pen.strokeStyle = color("faint"); pen.setLineDash([3, 3]);
  pen.beginPath(); pen.moveTo(Math.round(x(index)) + 0.5, top); pen.lineTo(Math.round(x(index)) + 0.5, top + height); pen.stroke();
  pen.setLineDash([]);
  $("hover").textContent = `${clock(at)}  O ${priced(open)}  H ${priced(highest)}  L ${priced(lowest)}  C ${priced(close)}  V ${volume}`;
}

const chart = $("chart");
chart.addEventListener("pointermove", (event) => { hoverAt = event.offsetX; if (view) drawChart(); });
chart.addEventListener("pointerleave", () => { hoverAt = null; if (view) drawChart(); });
chart.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: -7, ArrowRight: 7 }[event.key];
  if (event.key === "Escape") hoverAt = null;
  else if (move) hoverAt = Math.max(0, Math.min(chart.clientWidth - 79, (hoverAt === null ? chart.clientWidth - 79 : hoverAt) + move));
  else return;
  event.preventDefault();
  if (view) drawChart();
});
addEventListener("resize", () => { if (view) drawChart(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (view) drawChart(); });

/* ------------------------------------------------------------------------------------------------ choosing */

$("venue").addEventListener("change", () => { wanted.venue = $("venue").value; wanted.symbol = ""; look(); });
$("symbol").addEventListener("change", () => { wanted.symbol = $("symbol").value; look(); });
$("interval").addEventListener("change", () => { wanted.interval = $("interval").value; look(); });

$("new-account").addEventListener("click", async () => {
  const body = $("made-body");
  try {
    const made = await ask("POST", "accounts", { venue: view.venue, balance: "10000" });
    body.replaceChildren(make("p", {}, "Account " + made.uid + " on " + view.venue + " with 10,000 USDT. The secret is shown once."),
      make("p", {}, "Key"), make("code", {}, made.api_key), make("p", {}, "Secret"), make("code", {}, made.api_secret));
    look();
  } catch (error) { body.replaceChildren(make("p", { class: "problem" }, error.message)); }
  $("made").showModal();
});

/* ------------------------------------------------------------------------------------------------ faults */

const FIELDS = {
  uid: ["Account (all)", "number"], path: ["Path (all)", "text"], method: ["Method (all)", "text"], event: ["Event (all)", "text"],
  times: ["Times", "number"], seconds: ["Seconds", "number"], min_ms: ["Least ms", "number"], max_ms: ["Most ms", "number"],
  status: ["Status", "number"], html: ["Gateway's page", "checkbox"], code: ["Code", "number"], message: ["Message", "text"], retry_after_seconds: ["Retry after s", "number"],
  skew_ms: ["Ahead by ms", "number"], parts: ["Parts", "number"], factor: ["Price times", "text"], minutes: ["Minutes", "number"],
  tick_size: ["Tick size", "text"], step_size: ["Step size", "text"], min_notional: ["Least notional", "text"],
  abrupt: ["Without a close frame", "checkbox"], announced: ["With its event", "checkbox"], permissions: ["Permissions", "text"],
};
const SCOPE = ["uid", "method", "path"], LENGTH = ["times", "seconds"];
const KINDS = {
  Requests: {
    delay: ["Latency", [...SCOPE, "min_ms", "max_ms", ...LENGTH], { min_ms: 200, max_ms: 800, seconds: 60 }],
    drop_before: ["Close the line, not executed", [...SCOPE, ...LENGTH], { times: 1 }],
    drop_after: ["Close the line, executed", [...SCOPE, ...LENGTH], { times: 1 }],
    timeout_before: ["No answer, not executed", [...SCOPE, ...LENGTH], { times: 1 }],
    timeout_after: ["No answer, executed", [...SCOPE, ...LENGTH], { times: 1 }],
    error_before: ["5xx, not executed", [...SCOPE, "status", "html", ...LENGTH], { status: 503, times: 1 }],
    error_after: ["5xx, executed", [...SCOPE, "status", "html", ...LENGTH], { status: 503, times: 1 }],
    refuse: ["Refuse with a code", [...SCOPE, "code", "message", ...LENGTH], { code: -2010, message: "NEW_ORDER_REJECTED", times: 1 }],
    rate_limit: ["Rate limit", [...SCOPE, "retry_after_seconds", ...LENGTH], { retry_after_seconds: 10, seconds: 10 }],
    ban: ["IP ban", ["retry_after_seconds", ...LENGTH], { retry_after_seconds: 30, seconds: 30 }],
    overload: ["Overload", [...SCOPE, ...LENGTH], { seconds: 30 }],
    maintenance: ["Maintenance", ["seconds"], { seconds: 30 }],
  },
  Messages: {
    drop: ["Drop", ["uid", "event", ...LENGTH], { times: 1 }],
    duplicate: ["Duplicate", ["uid", "event", ...LENGTH], { times: 1 }],
    "stream:delay": ["Delay", ["uid", "event", "min_ms", "max_ms", ...LENGTH], { min_ms: 500, max_ms: 2000, times: 1 }],
    reorder: ["Swap with the next", ["uid", "event", ...LENGTH], { times: 1 }],
    "stream:disconnect": ["Close the socket at a message", ["uid", "event", ...LENGTH], { times: 1 }],
    silent: ["Silence", ["uid", "seconds"], { seconds: 30 }],
  },
  Venue: {
    disconnect: ["Close sockets now", ["uid", "abrupt"], {}],
    expire_listen_key: ["Expire listen keys", ["uid", "announced"], { announced: true }],
    clock_skew: ["Clock skew", ["skew_ms", "seconds"], { skew_ms: 3000 }],
    partial_fills: ["Fill in parts", ["parts", "seconds"], { parts: 5 }],
    price_shock: ["Price shock", ["factor", "minutes"], { factor: "0.9", minutes: 5 }],
    halt: ["Halt the symbol", ["seconds"], {}],
    resume: ["Resume the symbol", [], {}],
    change_instrument: ["Change filters", ["tick_size", "step_size", "min_notional", "seconds"], {}],
    revoke_key: ["Revoke an account's key", ["uid"], {}],
    set_permissions: ["Change a key's rights", ["uid", "permissions"], { permissions: "read,trade,withdraw" }],
    drain_insurance: ["Drain the insurance fund", [], {}],
  },
};
const OF_SYMBOL = ["partial_fills", "price_shock", "halt", "resume", "change_instrument"];

function groupOf(kind) { return Object.keys(KINDS).find((group) => kind in KINDS[group]); }

function buildFaultForm(kind) {
  const groups = Object.entries(KINDS).map(([group, kinds]) => {
    const box = make("optgroup", { label: group });
    box.append(...Object.entries(kinds).map(([value, [name]]) => make("option", { value, textContent: name, selected: value === kind })));
    return box;
  });
  const select = make("select", { name: "kind" }, ...groups);
  select.addEventListener("change", () => { buildFaultForm(select.value); $("fault-form").elements.kind.focus(); });
  const [, names, defaults] = KINDS[groupOf(kind)][kind];
  const inputs = names.map((name) => {
    const [title, type] = FIELDS[name], input = make("input", { name, type });
    if (type === "number") { input.step = "any"; input.inputMode = "decimal"; }
    if (type === "checkbox") input.checked = Boolean(defaults[name]); else if (name in defaults) input.value = defaults[name];
    return make("label", {}, title, input);
  });
  const note = OF_SYMBOL.includes(kind) ? "On the venue and symbol shown." : "On the venue shown.";
  $("fault-form").replaceChildren(make("label", { class: "wide" }, "Fault", select), ...inputs,
    make("p", { class: "note" }, note), make("p", { class: "note problem", id: "fault-problem", role: "alert" }), make("button", { class: "main wide" }, "Apply"));
}

function wishOf(form) {
  const kind = form.elements.kind.value, group = groupOf(kind), [, names] = KINDS[group][kind], name = kind.replace("stream:", "");
  const wish = { venue: view.venue, [{ Requests: "fault", Messages: "stream", Venue: "action" }[group]]: name };
  if (OF_SYMBOL.includes(kind)) wish.symbol = view.symbol;
  for (const field of names) {
    const input = form.elements[field], type = FIELDS[field][1];
    if (type === "checkbox") wish[field] = input.checked;
    else if (input.value.trim() === "") continue;
    else if (field === "path" || field === "method") wish.match = { ...wish.match, [field]: input.value.trim() };
    else if (field === "permissions") wish[field] = input.value.split(",").map((part) => part.trim()).filter(Boolean);
    else wish[field] = type === "number" ? Number(input.value) : input.value.trim();
  }
  return wish;
}

$("fault-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = $("fault-problem");
  problem.textContent = "";
  try { await ask("POST", "faults", wishOf(event.target)); await look(); } catch (error) { problem.textContent = error.status ? error.message : "Connection lost."; }
});
$("clear").addEventListener("click", async () => { try { await ask("DELETE", "faults"); await look(); } catch (error) { $("fault-problem").textContent = error.message; } });

function drawFaults() {
  const rows = view.faults.slice(-40).reverse().map((fault) => {
    const { id, state, seen, hits, problem, fault: rest, stream, action, match, ...more } = fault;
    const details = Object.entries({ ...match, ...more }).map(([name, value]) => name + " " + value).join(", ");
    const count = hits === undefined ? "" : " · hit " + hits;
    const end = make("button", { "aria-label": "End fault " + id }, "End");
    end.addEventListener("click", async () => { try { await ask("DELETE", "faults/" + id); } catch (error) { $("fault-problem").textContent = error.message; } look(); });
    const live = state === "in_force" || state === "waiting";
    return make("li", { class: live ? "live" : "" }, make("div", { class: "what" }, make("div", {}, rest || (stream ? "stream " + stream : action)), make("div", { class: "state" }, state.replace("_", " ") + count + (details ? " · " + details : "") + (problem ? " · " + problem : ""))), live ? end : null);
  });
  const focused = document.activeElement && $("faults").contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  $("faults").replaceChildren(...(rows.length ? rows : [make("li", {}, make("span", { class: "what state" }, "No faults so far."))]));
  if (focused) [...$("faults").querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === focused)?.focus();
  $("clear").disabled = !view.faults.length;
}

/* ------------------------------------------------------------------------------------------------ start */

buildFaultForm("delay");
const address = new URLSearchParams(location.hash.slice(1)), inAddress = address.get("token");
for (const name of Object.keys(wanted)) wanted[name] = address.get(name) || wanted[name];
if (location.hash) history.replaceState(null, "", location.pathname);
const known = inAddress || sessionStorage.getItem(KEY);
if (known) open(known); else showGate("");
