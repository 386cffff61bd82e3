// Drawing a digit: lines become 8 by 8 grey values, as those that the classifier learned from.

const TABLE = "demo/mnist/drawn";
const BOARD = "demo/mnist/drawn";

/** The width of a line: of the drawing area, and of the height of a digit. */
const PEN = 0.07;
const INK = 0.2;

/** How far a key moves the pen. */
const STEP = 1 / 24;

/** The side of the classifier's pictures, its darkest grey, and how finely its pixels are drawn. */
const SIDE = 8;
const DARKEST = 16;
const FINE = 16;

const $ = (id) => document.getElementById(id);
const pad = $("pad");

/** Lines of points from 0 to 1. */
let lines = [];
/** The place of the pen that keys move, and the line that it draws. */
const pen = { at: [0.5, 0.2], line: null };

// The user's choice on the other pages.
const theme = localStorage.getItem("streamtable-theme");
if (theme) document.documentElement.dataset.theme = theme;

function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function stroke(context, line, width, place) {
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = width;
  context.beginPath();
  for (const [i, point] of line.entries()) context[i ? "lineTo" : "moveTo"](...place(point));
  // A line of one point is a dot.
  context.lineTo(...place(line.at(-1)));
  context.stroke();
}

function show() {
  const context = pad.getContext("2d");
  const side = pad.width;
  const place = ([x, y]) => [x * side, y * side];
  context.clearRect(0, 0, side, side);
  context.strokeStyle = colour("--text");
  for (const line of lines) stroke(context, line, PEN * side, place);
  if (pad.matches(":focus-visible")) {
    context.strokeStyle = colour("--accent");
    context.lineWidth = pen.line ? 8 : 3;
    context.beginPath();
    context.arc(...place(pen.at), 14, 0, 2 * Math.PI);
    context.stroke();
  }
  $("send").disabled = $("clear").disabled = lines.length === 0;
}

/** Cuts the drawing out, scales it to the full height or width, and counts the ink of each pixel. */
function pixels() {
  const points = lines.flat();
  const bounds = (axis) => [Math.min(...points.map((it) => it[axis])), Math.max(...points.map((it) => it[axis]))];
  const [[left, right], [top, bottom]] = [bounds(0), bounds(1)];
  const side = SIDE * FINE;
  const scale = (side * (1 - INK)) / Math.max(right - left, bottom - top, 0.05);
  const place = ([x, y]) => [side / 2 + scale * (x - (left + right) / 2), side / 2 + scale * (y - (top + bottom) / 2)];
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (const line of lines) stroke(context, line, INK * side, place);
  const { data } = context.getImageData(0, 0, side, side);
  return Array.from({ length: SIDE * SIDE }, (_, i) => {
    const [x, y] = [(i % SIDE) * FINE, Math.floor(i / SIDE) * FINE];
    let sum = 0;
    for (let dy = 0; dy < FINE; dy++) {
      for (let dx = 0; dx < FINE; dx++) sum += data[4 * ((y + dy) * side + x + dx) + 3];
    }
    return Math.round((DARKEST * sum) / (255 * FINE * FINE));
  });
}

function truth() {
  return Number(document.querySelector("input[name=truth]:checked").value);
}

function choose(digit) {
  document.querySelector(`input[name=truth][value="${digit}"]`).checked = true;
}

function clear() {
  lines = [];
  pen.line = null;
  show();
}

async function send() {
  if (lines.length === 0 || $("send").disabled) return;
  $("send").disabled = true;
  $("problem").hidden = true;
  const drawn = { pixels: pixels(), truth: truth() };
  try {
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/draw", { method: "POST", headers, body: JSON.stringify(drawn) });
    const body = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(body?.errors?.[0]?.message ?? `the server answered ${answer.status}`);
    tell(drawn, body);
    await openBoard();
    clear();
    choose((drawn.truth + 1) % 10);
  } catch (error) {
    $("problem").textContent = `The digit was not logged: ${error.message}`;
    $("problem").hidden = false;
  }
  show();
}

function tell({ pixels, truth }, { prediction, scores }) {
  const isRight = prediction === truth;
  $("reading").hidden = false;
  $("verdict").textContent = isRight ? `Read as ${prediction}: right` : `Read as ${prediction}, not as ${truth}`;
  $("verdict").classList.toggle("wrong", !isRight);
  const image = new ImageData(SIDE, SIDE);
  for (const [i, ink] of pixels.entries()) image.data.set([...Array(3).fill((ink * 255) / DARKEST), 255], 4 * i);
  $("seen").getContext("2d").putImageData(image, 0, 0);
  const rows = Object.entries(scores).map(([digit, share]) => {
    const row = document.createElement("li");
    const parts = ["b", "span", "span"].map((name) => row.appendChild(document.createElement(name)));
    parts[0].textContent = digit;
    parts[1].className = "bar";
    parts[1].style.setProperty("--share", share);
    parts[2].textContent = `${Math.round(100 * share)} %`;
    return row;
  });
  $("scores").replaceChildren(...rows);
}

/** Opens the board of the table: the saved one, or a new one. */
async function openBoard() {
  if (!$("board").hidden) return;
  const stream = new Blob([JSON.stringify({ table: TABLE, template: "monitoring" })]).stream();
  const packed = new Uint8Array(await new Response(stream.pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer());
  const text = btoa(String.fromCharCode(...packed)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  $("board").src = `/embed?board=${BOARD}#new=${text}`;
  $("board").hidden = false;
  $("waiting").hidden = true;
}

for (let digit = 0; digit < 10; digit++) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "truth", value: digit });
  const shown = Object.assign(document.createElement("span"), { textContent: digit });
  label.append(input, shown);
  document.querySelector(".truth").append(label);
}
choose(Math.floor(10 * Math.random()));

pad.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pad.setPointerCapture(event.pointerId);
  const place = ({ offsetX, offsetY }) => [offsetX / pad.clientWidth, offsetY / pad.clientHeight];
  const line = [place(event)];
  lines.push(line);
  show();
  const move = (event) => {
    line.push(place(event));
    show();
  };
  const end = () => pad.removeEventListener("pointermove", move);
  pad.addEventListener("pointermove", move);
  pad.addEventListener("lostpointercapture", end, { once: true });
});

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

pad.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = MOVES[event.key];
  if (by) {
    pen.at = pen.at.map((it, axis) => Math.min(1, Math.max(0, it + STEP * by[axis])));
    pen.line?.push(pen.at);
  } else if (event.key === " ") {
    pen.line = pen.line ? null : [pen.at];
    if (pen.line) lines.push(pen.line);
  } else if (event.key === "Backspace") {
    if (lines.pop() === pen.line) pen.line = null;
  } else if (event.key === "Enter") void send();
  else if (/^\d$/.test(event.key)) choose(event.key);
  else return;
  event.preventDefault();
  show();
});
for (const name of ["focus", "blur"]) pad.addEventListener(name, show);
pad.setAttribute("aria-label", "Drawing area");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
$("clear").addEventListener("click", clear);
$("send").addEventListener("click", () => void send());
show();

// Digits that were drawn before.
const tables = await fetch("/api/tables?entity=demo&project=mnist").then((answer) => answer.json());
if (tables.tables.some(({ name, rows }) => name === TABLE && rows > 0)) await openBoard();
