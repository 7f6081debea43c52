// The page: controls, the loop, and what is shown.

import { VAE, Random } from "./engine.js";
import { CHOICES, fromAddress, parse, toAddress } from "./state.js";
import { asPyTorch } from "./export.js";
import { CARDS } from "./cards.js";
import { TEN, bars, colour, dots, grey, lines, surface } from "./draw.js";

const HIDDEN = 64, SIDE = 8, REACH = 3.5; // the plane goes from -3.5 to 3.5
const BUDGET = 12; // milliseconds of training in a frame
const $ = (id) => document.getElementById(id);

// ---- Data ----------------------------------------------------------------------------

const found = JSON.parse($("digits-data").textContent);
const pixels = Float32Array.from(atob(found.images), (c) => c.charCodeAt(0) / 16);
const labels = Array.from(found.labels, Number);

function ring(count, seed) {
  const random = new Random(seed), points = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const angle = 2 * Math.PI * random.uniform(), radius = 1 + 0.05 * random.normal();
    points[2 * i] = radius * Math.cos(angle);
    points[2 * i + 1] = radius * Math.sin(angle);
  }
  return points;
}

const DATA = {
  digits: {
    size: SIDE * SIDE,
    likelihood: "bernoulli",
    train: pixels.subarray(0, found.train * SIDE * SIDE),
    test: pixels.subarray(found.train * SIDE * SIDE),
    labels: labels.slice(found.train),
  },
  ring: {
    size: 2,
    likelihood: "gaussian",
    train: ring(1500, 1),
    test: ring(297, 2),
    labels: null,
  },
};

// ---- State ---------------------------------------------------------------------------

const settings = fromAddress(location.hash);
let vae, random, history, running = false, code = [0, 0], axes = [0, 1], pending = null;
let own = new Float32Array(SIDE * SIDE), cursor = [3, 3], firstTest = 0, drawSeed = 1;

const data = () => DATA[settings.data];
const toBeta = (v) => (v === 0 ? 0 : 2 ** ((v - 70) / 6)); // 70 is 1, 100 is 32
const fromBeta = (b) => (b === 0 ? 0 : Math.max(1, Math.round(70 + 6 * Math.log2(b))));
const toRate = (v) => 10 ** (-4 + v / 20);
const fromRate = (r) => Math.round(20 * (Math.log10(r) + 4));
const short = (v) => Number(v.toPrecision(2)).toString();

function start() {
  const { size, likelihood } = data();
  random = new Random(settings.seed);
  vae = new VAE(size, settings.z, HIDDEN, likelihood, random, settings.sigma);
  history = { steps: [], reconstruction: [], kl: [], total: [] };
  $("said").textContent = "";
  look(true);
}

function run(on) {
  running = on;
  $("run").textContent = on ? "Pause" : "Train";
  $("run").setAttribute("aria-pressed", String(on));
  if (on) requestAnimationFrame(frame);
}

function oneStep() {
  const { size, train } = data(), { batch, z } = settings;
  const x = new Float32Array(batch * size);
  for (let b = 0; b < batch; b++) {
    const i = random.below(train.length / size);
    x.set(train.subarray(i * size, (i + 1) * size), b * size);
  }
  vae.backward(x, random.normals(batch * z), batch, settings);
  vae.update(settings.rate);
}

let lastStep = 0;
function frame(now) {
  if (!running) return;
  if ($("speed").value === "slow") {
    if (now - lastStep > 250) {
      oneStep();
      lastStep = now;
      look(true);
    }
  } else {
    const end = performance.now() + BUDGET;
    do oneStep(); while (performance.now() < end);
    look(false);
  }
  if (!vae.healthy()) {
    run(false);
    $("said").textContent =
      `The training diverged: a weight is no number any more, after ${vae.steps} steps. ` +
      "Lower the learning rate, and start again.";
    return;
  }
  requestAnimationFrame(frame);
}

// ---- What is shown -------------------------------------------------------------------

let lastLook = 0, lastGap = 0;
function look(now) {
  $("n-steps").textContent = vae.steps.toLocaleString("en");
  if (!now && performance.now() - lastLook < 200) return;
  lastLook = performance.now();
  const { size, test } = data(), count = test.length / size;
  const terms = vae.measure(test, count, new Random(7));
  history.steps.push(vae.steps);
  history.reconstruction.push(terms.reconstruction);
  history.kl.push(terms.kl);
  history.total.push(terms.minusElbo);
  if (history.steps.length > 800)
    for (const key of Object.keys(history)) history[key] = history[key].filter((_, i) => i % 2 === 0);
  $("n-rec").textContent = terms.reconstruction.toFixed(2);
  $("n-kl").textContent = terms.kl.toFixed(2);
  $("n-elbo").textContent = terms.minusElbo.toFixed(2);
  if (now || lastLook - lastGap > 1500) {
    lastGap = lastLook;
    const few = 40;
    const part = vae.measure(test, few, new Random(8));
    const evidence = vae.minusLogEvidence(test, few, 100, new Random(9));
    $("n-evidence").textContent = (terms.minusElbo - (part.minusElbo - evidence)).toFixed(2);
    $("n-gap").textContent = (part.minusElbo - evidence).toFixed(2);
  }
  lines($("curves"), history.steps, [
    { name: "−ELBO", ink: "loss", values: history.total },
    { name: "reconstruction", ink: "data", values: history.reconstruction },
    { name: "KL", ink: "kl", values: history.kl },
  ]);
  $("curves").setAttribute(
    "aria-label",
    `After ${vae.steps} steps: reconstruction ${terms.reconstruction.toFixed(2)}, KL ` +
      `${terms.kl.toFixed(2)}, minus ELBO ${terms.minusElbo.toFixed(2)} nats.`
  );
  const order = [...terms.each.keys()].sort((a, b) => terms.each[b] - terms.each[a]);
  axes = settings.z > 1 ? [order[0], order[1]].sort((a, b) => a - b) : [0, 0];
  bars($("latents"), [...terms.each]);
  $("latents").setAttribute(
    "aria-label",
    `KL of each latent in nats: ${[...terms.each].map((v) => v.toFixed(2)).join(", ")}.`
  );
  showPlane(terms, count);
  showDecoded();
  showPairs();
  showDraws();
  showOwn();
}

function showPlane(terms, count) {
  const { pen, width, height } = surface($("plane"), 1);
  const at = (v) => ((v + REACH) / (2 * REACH)) * width;
  const z = settings.z, names = data().labels;
  pen.strokeStyle = colour("line");
  for (const r of [1, 2]) {
    pen.beginPath();
    pen.arc(at(0), height - at(0), at(r) - at(0), 0, 2 * Math.PI);
    pen.stroke();
  }
  const places = Array.from({ length: 10 }, () => []);
  let outside = 0;
  for (let b = 0; b < count; b++) {
    const u = terms.mu[b * z + axes[0]];
    // One latent: its spread is the second axis, so that points do not lie on a line.
    const v = z > 1 ? terms.mu[b * z + axes[1]] : Math.exp(0.5 * terms.logvar[b]);
    if (Math.abs(u) > REACH || Math.abs(v) > REACH) outside += 1;
    pen.fillStyle = names ? TEN[names[b]] : colour("data");
    pen.beginPath();
    pen.arc(at(u), height - at(v), 3, 0, 2 * Math.PI);
    pen.fill();
    if (names) places[names[b]].push([u, v]);
  }
  pen.font = "bold 15px system-ui, sans-serif";
  pen.textAlign = "center";
  places.forEach((points, digit) => {
    if (!points.length) return;
    const near = ([u, v]) => points.filter(([s, t]) => (u - s) ** 2 + (v - t) ** 2 < 0.15).length;
    const [u, v] = points.reduce((best, p) => (near(p) > near(best) ? p : best));
    pen.lineWidth = 4;
    pen.strokeStyle = colour("ground");
    pen.strokeText(digit, at(u), height - at(v) + 5);
    pen.lineWidth = 1;
    pen.fillStyle = colour("ink");
    pen.fillText(digit, at(u), height - at(v) + 5);
  });
  const mine = settings.data === "digits" && own.some((v) => v > 0) ? vae.encode(own, 1) : null;
  if (mine) {
    const [u, v] = axes.map((a) => mine.mu[a]), [su, sv] = axes.map((a) => Math.exp(0.5 * mine.logvar[a]));
    pen.strokeStyle = colour("accent");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.ellipse(at(u), height - at(z > 1 ? v : sv), at(su) - at(0), at(sv) - at(0), 0, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.lineWidth = 3;
  pen.strokeStyle = colour("loss");
  pen.beginPath();
  const x = at(code[0]), y = height - at(z > 1 ? code[1] : 0);
  pen.moveTo(x - 8, y); pen.lineTo(x + 8, y); pen.moveTo(x, y - 8); pen.lineTo(x, y + 8);
  pen.stroke();
  pen.lineWidth = 1;
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = colour("soft");
  const what = z > 1 ? `latents ${axes[0] + 1} and ${axes[1] + 1}` : "mean across, spread upwards";
  pen.textAlign = "left";
  pen.fillText(outside ? `${what}; ${outside} codes outside` : what, 6, height - 8);
  const far = terms.mu.reduce((a, m) => Math.max(a, Math.abs(m)), 0);
  $("plane").setAttribute(
    "aria-label",
    `Codes of ${count} test examples, ${what}; the farthest mean lies ${far.toFixed(1)} from 0. ` +
      "The sliders Code 1 and Code 2 move the chosen point."
  );
}

function decodeAt(pair) {
  const z = new Float32Array(settings.z);
  z[axes[0]] = pair[0];
  if (settings.z > 1) z[axes[1]] = pair[1];
  return vae.expected(z, 1);
}

function showDecoded() {
  $("c1-out").textContent = code[0].toFixed(2);
  $("c2-out").textContent = code[1].toFixed(2);
  const { pen, width } = surface($("decoded"), 1), values = decodeAt(code);
  if (settings.data === "digits") grey(pen, values, SIDE, 0, 0, width);
  else {
    dots(pen, data().test.subarray(0, 400), 0, 0, width, colour("line"));
    pen.fillStyle = colour("loss");
    pen.beginPath();
    pen.arc(((values[0] + 1.5) / 3) * width, ((1.5 - values[1]) / 3) * width, 6, 0, 2 * Math.PI);
    pen.fill();
  }
}

function showPairs() {
  const { size, test } = data();
  if (settings.data === "digits") {
    const columns = 8, { pen, width } = surface($("pairs"), 2 / 8 + 0.03);
    const x = test.subarray(0, columns * size), { mu } = vae.encode(x, columns);
    const back = vae.expected(mu, columns), cell = width / columns;
    for (let i = 0; i < columns; i++) {
      grey(pen, x.subarray(i * size, (i + 1) * size), SIDE, i * cell + 2, 0, cell - 4);
      grey(pen, back.subarray(i * size, (i + 1) * size), SIDE, i * cell + 2, cell, cell - 4);
    }
  } else {
    const { pen, width } = surface($("pairs"), 0.5), count = 200;
    const x = test.subarray(0, count * size), { mu } = vae.encode(x, count);
    dots(pen, x, 0, 0, width / 2, colour("soft"));
    dots(pen, vae.expected(mu, count), width / 2, 0, width / 2, colour("data"));
  }
}

function showDraws() {
  const source = new Random(drawSeed), z = settings.z;
  if (settings.data === "digits") {
    const columns = 8, rows = 2, cells = columns * rows;
    const { pen, width } = surface($("draws"), rows / columns + 0.02), cell = width / columns;
    const made = vae.expected(source.normals(cells * z), cells);
    for (let i = 0; i < cells; i++)
      grey(pen, made.subarray(i * 64, (i + 1) * 64), SIDE, (i % columns) * cell + 2, Math.floor(i / columns) * cell, cell - 4);
  } else {
    const { pen, width } = surface($("draws"), 0.5), count = 300;
    const made = vae.expected(source.normals(count * z), count).map((v) => v + settings.sigma * source.normal());
    dots(pen, made, width / 4, 0, width / 2, colour("data"));
  }
}

function showOwn() {
  $("own-part").hidden = settings.data !== "digits";
  if (settings.data !== "digits") return;
  const { pen, width } = surface($("own"), 1), cell = width / SIDE;
  grey(pen, own, SIDE, 0, 0, width);
  if (document.activeElement === $("own")) {
    pen.strokeStyle = colour("loss");
    pen.lineWidth = 3;
    pen.strokeRect(cursor[0] * cell + 1.5, cursor[1] * cell + 1.5, cell - 3, cell - 3);
  }
  const empty = !own.some((v) => v > 0), back = surface($("own-back"), 1);
  grey(back.pen, vae.expected(vae.encode(own, 1).mu, 1), SIDE, 0, 0, back.width);
  // The mean over draws is what the bound asks for: one draw for each of many copies.
  const draws = 64, copies = new Float32Array(draws * own.length);
  for (let s = 0; s < draws; s++) copies.set(own, s * own.length);
  const { reconstruction, kl, minusElbo } = vae.measure(copies, draws, new Random(3));
  $("own-words").textContent = empty
    ? "Draw on the left: drag, or use the arrow keys and the space bar."
    : `Reconstruction ${reconstruction.toFixed(1)}, KL ${kl.toFixed(1)}, −ELBO ${minusElbo.toFixed(1)} nats` +
      (history.total.length ? `; the test set has ${history.total.at(-1).toFixed(1)} in the mean.` : ".");
}

// ---- Controls ------------------------------------------------------------------------

const RESTART = ["data", "z", "seed"]; // the others change a training that runs

function set(name, text) {
  settings[name] = parse(name, String(text));
  if (name === "sigma") vae.sigma = settings.sigma;
  keepAddress();
  show();
  if (RESTART.includes(name)) {
    code = [0, 0];
    start();
  } else look(true);
}

function keepAddress() {
  const hash = toAddress(settings);
  try {
    window.history.replaceState(null, "", hash === "#" ? location.pathname + location.search : hash);
  } catch {
    location.hash = hash; // a page that was opened from the disk may not be allowed to
  }
}

/** Put the settings into the controls. */
function show() {
  for (const name of ["data", "z", "batch", "fault", "seed", "card"]) $(name).value = String(settings[name]);
  $("beta").value = fromBeta(settings.beta);
  $("beta-out").textContent = short(settings.beta);
  $("rate").value = fromRate(settings.rate);
  $("rate-out").textContent = short(settings.rate);
  $("sigma").value = Math.round(100 * settings.sigma);
  $("sigma-out").textContent = settings.sigma.toFixed(2);
  $("sigma-row").hidden = settings.data !== "ring";
  for (const [id, value] of [["beta", short(settings.beta)], ["rate", short(settings.rate)]])
    $(id).setAttribute("aria-valuetext", value);
  $("c1").value = code[0];
  $("c2").value = code[1];
  $("c2").disabled = settings.z === 1;
  const card = CARDS[settings.card - 1], box = $("card-text");
  box.replaceChildren();
  if (!card) return;
  const add = (tag, text, parent = box) => {
    const made = document.createElement(tag);
    made.textContent = text;
    parent.append(made);
    return made;
  };
  add("p", card.look);
  add("p", card.ask).style.fontWeight = "600";
  const fold = add("details", "");
  add("summary", "Answer", fold);
  add("p", card.answer, fold);
}

function takeCard(number) {
  const card = CARDS[number - 1];
  for (const [name, { start: first }] of Object.entries(CHOICES))
    settings[name] = card?.set[name] ?? first;
  settings.card = number;
  code = [0, 0];
  keepAddress();
  show();
  run(false);
  start();
}

for (const name of ["data", "z", "batch", "fault"]) $(name).addEventListener("change", (e) => set(name, e.target.value));
$("seed").addEventListener("change", (e) => set("seed", e.target.value));
$("beta").addEventListener("input", (e) => set("beta", toBeta(Number(e.target.value))));
$("rate").addEventListener("input", (e) => set("rate", toRate(Number(e.target.value))));
$("sigma").addEventListener("input", (e) => set("sigma", Number(e.target.value) / 100));
$("card").addEventListener("change", (e) => takeCard(Number(e.target.value)));
$("run").addEventListener("click", () => run(!running));
$("step").addEventListener("click", () => { run(false); oneStep(); look(true); });
$("again").addEventListener("click", start);
$("redraw").addEventListener("click", () => { drawSeed += 1; showDraws(); });
$("link").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    $("said").textContent = "The address is in the clipboard; it holds all settings.";
  } catch {
    $("said").textContent = `Copy it from here: ${location.href}`;
  }
});
$("code").addEventListener("click", () => {
  $("code-text").value = asPyTorch(settings, HIDDEN, Math.max(vae.steps, 2000));
  $("code-box").showModal();
});
window.addEventListener("hashchange", () => {
  Object.assign(settings, fromAddress(location.hash));
  show();
  start();
});
window.addEventListener("resize", () => look(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => look(true));

/** One redraw for all movements of a frame. */
function soon(act) {
  if (pending) cancelAnimationFrame(pending);
  pending = requestAnimationFrame(() => { pending = null; act(); });
}

function choose(pair) {
  code = pair.map((v) => Math.min(REACH, Math.max(-REACH, v)));
  $("c1").value = code[0];
  $("c2").value = code[1];
  soon(() => {
    showDecoded();
    const { size, test } = data(), count = test.length / size;
    showPlane(vae.encode(test, count), count);
  });
}

function dragging(canvas, act) {
  canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); act(e); });
  canvas.addEventListener("pointermove", (e) => { if (e.buttons) act(e); });
}

dragging($("plane"), (e) => {
  const box = $("plane").getBoundingClientRect();
  const u = ((e.clientX - box.left) / box.width) * 2 * REACH - REACH;
  const v = REACH - ((e.clientY - box.top) / box.height) * 2 * REACH;
  choose([u, settings.z > 1 ? v : 0]);
});
for (const [id, i] of [["c1", 0], ["c2", 1]])
  $(id).addEventListener("input", (e) => {
    const pair = [...code];
    pair[i] = Number(e.target.value);
    choose(pair);
  });

function paint(column, row, value) {
  for (let r = 0; r < SIDE; r++)
    for (let c = 0; c < SIDE; c++) {
      const near = Math.exp(-((c - column) ** 2 + (r - row) ** 2) / 0.5);
      const i = r * SIDE + c;
      own[i] = value ? Math.max(own[i], near > 0.1 ? near : 0) : own[i] * (1 - near);
    }
  soon(() => look(true));
}

dragging($("own"), (e) => {
  const box = $("own").getBoundingClientRect();
  paint(((e.clientX - box.left) / box.width) * SIDE - 0.5, ((e.clientY - box.top) / box.height) * SIDE - 0.5, 1);
});
$("own").addEventListener("keydown", (e) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
  if (move) cursor = cursor.map((v, i) => Math.min(SIDE - 1, Math.max(0, v + move[i])));
  else if (e.key === " ") paint(...cursor, 1);
  else if (e.key === "Backspace" || e.key === "Delete") paint(...cursor, 0);
  else return;
  e.preventDefault();
  soon(showOwn);
});
for (const event of ["focus", "blur"]) $("own").addEventListener(event, () => showOwn());
$("own-clear").addEventListener("click", () => { own.fill(0); look(true); });
$("own-test").addEventListener("click", () => {
  own = data().test.slice(firstTest * 64, (firstTest + 1) * 64);
  firstTest = (firstTest + 1) % 297;
  look(true);
});

$("card").append(new Option("no card", "0"), ...CARDS.map((c, i) => new Option(`${i + 1}. ${c.title}`, String(i + 1))));
show();
start();
window.vaeLab = { VAE, Random, settings, CARDS, DATA, asPyTorch, now: () => vae };
