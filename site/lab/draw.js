// Pictures on canvases: sharp at every scale, in the colours of the page's style.

export const TEN = [
  "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
  "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
];

export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A clean 2-D context, `ratio` times as high as wide, in CSS pixels. */
export function surface(canvas, ratio) {
  const width = canvas.clientWidth || 300, height = Math.round(width * ratio);
  const scale = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}

/** One grey picture of side * side values in [0, 1], at a place. */
export function grey(pen, values, side, left, top, size) {
  const cell = size / side;
  for (let i = 0; i < side * side; i++) {
    const level = Math.round(255 * Math.min(1, Math.max(0, values[i])));
    pen.fillStyle = `rgb(${level},${level},${level})`;
    const x = left + (i % side) * cell, y = top + Math.floor(i / side) * cell;
    pen.fillRect(x, y, cell + 0.5, cell + 0.5);
  }
}

/** Points of a picture of 2-D data, in a square from -1.5 to 1.5. */
export function dots(pen, points, left, top, size, fill) {
  pen.fillStyle = fill;
  for (let i = 0; i < points.length; i += 2) {
    const x = left + ((points[i] + 1.5) / 3) * size;
    const y = top + ((1.5 - points[i + 1]) / 3) * size;
    pen.fillRect(x - 1.5, y - 1.5, 3, 3);
  }
}

/** Lines over training steps, with an axis of nats. */
export function lines(canvas, steps, curves) {
  const { pen, width, height } = surface(canvas, 0.55);
  const left = 38, bottom = height - 22, right = width - 6, top = 8;
  const values = curves.flatMap((c) => c.values).filter(Number.isFinite);
  const sorted = [...values].sort((a, b) => a - b);
  const high = Math.max(1, sorted[Math.floor(0.98 * (sorted.length - 1))] ?? 1) * 1.08;
  const last = Math.max(10, steps[steps.length - 1] ?? 10);
  const x = (s) => left + ((right - left) * s) / last;
  const y = (v) => bottom - ((bottom - top) * Math.min(v, high)) / high;
  pen.strokeStyle = colour("line");
  pen.fillStyle = colour("soft");
  const unit = 10 ** Math.floor(Math.log10(high));
  const gap = high / unit > 5 ? 2 * unit : high / unit > 2 ? unit : unit / 2;
  pen.textAlign = "right";
  for (let v = 0; v <= high; v += gap) {
    pen.beginPath(); pen.moveTo(left, y(v)); pen.lineTo(right, y(v)); pen.stroke();
    pen.fillText(String(Number(v.toPrecision(3))), left - 5, y(v) + 4);
  }
  pen.fillText(`${last.toLocaleString("en")} steps`, right, height - 6);
  pen.textAlign = "left";
  pen.fillText("0", left, height - 6);
  curves.forEach(({ values: line, name, ink }, k) => {
    pen.strokeStyle = pen.fillStyle = colour(ink);
    pen.lineWidth = 2;
    pen.setLineDash([[], [7, 4], [2, 3]][k]);
    pen.beginPath();
    line.forEach((v, i) => (i ? pen.lineTo(x(steps[i]), y(v)) : pen.moveTo(x(steps[i]), y(v))));
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 1;
    pen.fillText(name, left + 8 + k * 120, top + 10);
  });
}

/** One bar for each latent. */
export function bars(canvas, values) {
  const { pen, width, height } = surface(canvas, 0.25);
  const high = Math.max(1, ...values), bottom = height - 18, wide = width / values.length;
  pen.textAlign = "center";
  values.forEach((v, j) => {
    const tall = ((bottom - 16) * v) / high;
    pen.fillStyle = colour("kl");
    pen.fillRect(wide * (j + 0.2), bottom - tall, wide * 0.6, Math.max(1, tall));
    pen.fillStyle = colour("ink");
    pen.fillText(v.toFixed(2), wide * (j + 0.5), bottom - tall - 4);
    pen.fillStyle = colour("soft");
    pen.fillText(`latent ${j + 1}`, wide * (j + 0.5), height - 4);
  });
}
