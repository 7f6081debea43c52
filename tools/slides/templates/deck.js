"use strict";
const stops = [...document.querySelectorAll(".stop")];
const body = document.body, paper = document.getElementById("paper");
const isSpeaker = window.name === "speaker" && window.opener;
let now = 0, other = isSpeaker ? window.opener : null;
const began = Date.now();

// A block that is wider or a slide that is taller than its place gets smaller type, but
// never below 18 px; what does not fit then is found by the tests.
function fit(slide) {
  for (const block of slide.querySelectorAll(".block, .lines, .question, table, pre")) {
    const tall = () => slide.querySelector(".body").scrollHeight > slide.querySelector(".body").clientHeight + 1;
    const wide = () => block.scrollWidth > block.clientWidth + 1
      || [...block.querySelectorAll("svg, table, pre")].some(m => m.getBoundingClientRect().width > block.getBoundingClientRect().width + 1);
    const inner = block.matches("pre") ? block : block.querySelector("pre") || block;
    let size = parseFloat(getComputedStyle(inner).fontSize);
    while ((wide() || tall()) && size > 18) inner.style.fontSize = `${size -= 1}px`;
    if (inner.matches("pre") && wide()) inner.style.whiteSpace = "pre-wrap";
  }
}

function show(place, told, send = true) {
  now = Math.min(Math.max(place, 0), stops.length - 1);
  stops.forEach((stop, i) => stop.classList.toggle("now", i === now));
  stops[now].classList.toggle("told", told);
  if (location.hash !== `#${now + 1}`) history.replaceState(null, "", `#${now + 1}`);
  if (isSpeaker) {
    const next = document.getElementById("next");
    next.replaceChildren(...(stops[now + 1] ? [stops[now + 1].querySelector(".slide").cloneNode(true)] : []));
  }
  place_slide();
  if (send && other && !other.closed) other.postMessage({ place: now, told }, "*");
}

function place_slide() {
  const room = isSpeaker ? [0.6 * innerWidth, innerHeight]
    : [innerWidth, body.classList.contains("noted") ? 0.7 * innerHeight : innerHeight];
  const scale = Math.min(room[0] / 1280, room[1] / 720);
  body.style.setProperty("--scale", scale);
  body.style.setProperty("--left", isSpeaker ? "0px" : `${(room[0] - 1280 * scale) / 2}px`);
  body.style.setProperty("--top", isSpeaker ? "0px" : `${Math.max(0, (room[1] - 720 * scale) / 2)}px`);
}

function forward() {
  const waits = stops[now].querySelector(".slide .waits") && !stops[now].classList.contains("told");
  if (waits) show(now, true); else show(now + 1, false);
}

const keys = {
  ArrowRight: forward, ArrowDown: forward, PageDown: forward, " ": forward,
  ArrowLeft: () => show(now - 1, true), ArrowUp: () => show(now - 1, true), PageUp: () => show(now - 1, true),
  Home: () => show(0, false), End: () => show(stops.length - 1, false),
  n: () => { body.classList.toggle("noted"); set_paper(); place_slide(); },
  p: () => { other = window.open(location.href, "speaker", "width=1200,height=750"); },
  f: () => document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen(),
  "?": () => { const line = document.getElementById("keys"); line.hidden = !line.hidden; },
};

// With notes a page of paper holds a slide and its notes.
function set_paper() {
  paper.textContent = body.classList.contains("noted")
    ? "@page { size: A4; margin: 15mm }" : "@page { size: 1280px 720px; margin: 0 }";
}

document.addEventListener("keydown", event => {
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (event.key !== "?") document.getElementById("keys").hidden = true;
  act();
});
document.addEventListener("click", event => {
  if (event.target.closest(".slide")) event.clientX < innerWidth / 4 && !isSpeaker ? keys.ArrowLeft() : forward();
});
addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1 || 0, false));
addEventListener("resize", place_slide);
addEventListener("message", event => {
  if (event.source === other || event.source?.opener === window) {
    other = event.source;
    show(event.data.place, event.data.told, false);
  }
});

let sum = 0;
for (const stop of stops) {
  const from = sum;
  sum += Number(stop.dataset.minutes);
  stop.querySelector(".sofar").textContent = `from minute ${from} to ${sum}`;
}
stops.forEach(stop => fit(stop.querySelector(".slide")));
body.classList.add("one");
if (isSpeaker) {
  body.classList.add("speaker");
  setInterval(() => {
    const seconds = Math.floor((Date.now() - began) / 1000);
    document.getElementById("clock").textContent =
      `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} of ${sum} min`;
  }, 500);
}
show(Number(location.hash.slice(1)) - 1 || 0, false, false);
body.dataset.ready = "yes";
